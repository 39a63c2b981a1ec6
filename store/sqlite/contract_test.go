package sqlite_test

import (
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/sqlite"
	"holdline/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.SQLite, func(t *testing.T) store.Backend {
		b, err := sqlite.Open(t.Context(), sqlite.Options{Path: testdb.SQLite(t)})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	})
}
