package postgres_test

import (
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/storetest"
)

func BenchmarkAppend(b *testing.B) {
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Backend {
		backend, err := postgres.Open(b.Context(), postgres.Options{URL: testdb.Postgres(b)})
		if err != nil {
			b.Fatal(err)
		}
		if err := backend.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		return backend
	})
}
