package bench

import (
	"context"
	"path/filepath"
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/sqlite"
)

func TestWhatIsAskedOfTheDatabaseIsCounted(t *testing.T) {
	ctx := t.Context()
	inner, err := sqlite.Open(ctx, sqlite.Options{Path: testdb.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close() //nolint:errcheck // the test is over
	c := &Counting{Backend: inner}
	socket := filepath.Join(t.TempDir(), "s")
	stop, err := Tell(ctx, socket, c.Answer)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	before, err := readCounts(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	one := func(tx *store.Tx) error {
		var n int
		return tx.Get(&n, "SELECT 1")
	}
	for _, fn := range []func() error{
		func() error { return c.Read(ctx, one) },
		func() error {
			return c.Read(ctx, func(tx *store.Tx) error {
				if err := one(tx); err != nil {
					return err
				}
				return one(tx)
			})
		},
		func() error { return c.Write(context.Background(), one, func() {}) },
	} {
		if err := fn(); err != nil {
			t.Fatal(err)
		}
	}
	after, err := readCounts(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := after.minus(before), (Counts{Reads: 2, Statements: 3, Writes: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
