//go:build !race

package sqlite_test

import (
	"testing"

	"holdline/store/storetest"
)

// TestLongLog is run by `make test` apart from the others, without the race detector.
func TestLongLog(t *testing.T) { storetest.RunLong(t, storetest.SQLite, fresh) }
