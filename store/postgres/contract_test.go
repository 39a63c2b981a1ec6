package postgres_test

import (
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/storetest"
)

func TestContract(t *testing.T) { storetest.Run(t, storetest.Postgres, fresh) }

// fresh returns a migrated backend over an empty database.
func fresh(t *testing.T) store.Backend {
	t.Helper()
	b, err := postgres.Open(t.Context(), postgres.Options{URL: testdb.Postgres(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}
