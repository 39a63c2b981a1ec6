package sqlite_test

import (
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/sqlite"
	"holdline/store/storetest"
)

func BenchmarkAppend(b *testing.B) {
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Backend {
		backend, err := sqlite.Open(b.Context(), sqlite.Options{Path: testdb.SQLite(b)})
		if err != nil {
			b.Fatal(err)
		}
		if err := backend.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		return backend
	})
}
