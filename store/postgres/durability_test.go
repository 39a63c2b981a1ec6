package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/postgres"
)

// newQuietWorld has a server of its own: what other tests write would stand
// unflushed in the same log.
func newQuietWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, testdb.Cluster(t).URL("postgres"))
}

// flushedAtOnce appends n messages one by one on a backend of its own, with no
// other writer about, and counts after how many of them the WAL was already
// flushed to its very end, the commit record included.
func flushedAtOnce(t *testing.T, w *world, n int, allowUnsafe bool) (flushed int) {
	t.Helper()
	if err := w.node.Close(); err != nil { // its horizon mover writes too
		t.Fatal(err)
	}
	b, err := postgres.Open(t.Context(), postgres.Options{URL: w.url, AllowUnsafeDurability: allowUnsafe})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for i := range n {
		item := &store.Append{Send: w.send(w.alice, fmt.Sprint("flush ", i), "durable")}
		if err := b.AppendBatch([]*store.Append{item}, false, func([]store.Event) {}); err != nil || item.Err != nil {
			t.Fatal(err, item.Err)
		}
		var all bool
		if err := w.raw.QueryRow(`SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()`).Scan(&all); err != nil {
			t.Fatal(err)
		}
		if all {
			flushed++
		}
	}
	return flushed
}

// A batch that returned is flushed to disk (store promise 1). The server's own
// background writers may add to the WAL in between, so a few may miss.
func TestAnsweredIsFlushed(t *testing.T) {
	if got := flushedAtOnce(t, newQuietWorld(t), 20, false); got < 15 {
		t.Fatalf("the WAL was flushed behind %d of 20 answered sends", got)
	}
}

// The control: without synchronous_commit the same look sees the difference.
func TestUnflushedIsSeen(t *testing.T) {
	w := newQuietWorld(t)
	w.setDatabase("synchronous_commit", "off")
	if got := flushedAtOnce(t, w, 20, true); got > 5 {
		t.Fatalf("with synchronous_commit off the WAL was flushed behind %d of 20 sends: the look sees nothing", got)
	}
}

func (w *world) setDatabase(setting, value string) {
	w.t.Helper()
	var name string
	if err := w.raw.QueryRow(`SELECT current_database()`).Scan(&name); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.raw.Exec(fmt.Sprintf("ALTER DATABASE %s SET %s = %s", name, setting, value)); err != nil {
		w.t.Fatal(err)
	}
}

// A server that could lose acknowledged messages is refused, unless by name.
func TestUnsafeDurabilityIsRefused(t *testing.T) {
	w := newWorld(t)
	w.setDatabase("synchronous_commit", "off")
	_, err := postgres.Open(t.Context(), postgres.Options{URL: w.url})
	if err == nil || !strings.Contains(err.Error(), "allow-unsafe-durability") {
		t.Fatalf("Open: %v, want a refusal that names the option", err)
	}
	b, err := postgres.Open(t.Context(), postgres.Options{URL: w.url, AllowUnsafeDurability: true})
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
}
