package sqlite_test

import (
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/sqlite"
	"holdline/store/storetest"
)

func TestContract(t *testing.T) { storetest.Run(t, storetest.SQLite, fresh) }

// fresh returns a migrated backend over an empty database.
func fresh(t *testing.T) store.Backend {
	t.Helper()
	b, err := sqlite.Open(t.Context(), sqlite.Options{Path: testdb.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}
