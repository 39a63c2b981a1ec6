package postgres_test

import (
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Postgres, func(t *testing.T) store.Backend {
		b, err := postgres.Open(t.Context(), postgres.Options{URL: testdb.Postgres(t)})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	})
}
