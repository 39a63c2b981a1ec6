package fire

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/sqlite"
)

// patience bounds what must happen soon but for a slow machine.
const patience = time.Minute

// bare puts a client onto plain connections: thousands of exchanges held
// against the contract would leave no time for the server.
func bare(t *testing.T, c *harness.Client) *harness.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	c.HTTP = &http.Client{Transport: transport}
	return c
}

// people makes n accounts, named name-0, name-1 …
func people(t *testing.T, s *harness.Server, name string, n int) []*harness.Client {
	t.Helper()
	all := make([]*harness.Client, n)
	for i := range all {
		all[i] = bare(t, s.SignUp(fmt.Sprintf("%s-%d", name, i)))
	}
	return all
}

// handles are the names that people gave.
func handles(name string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%d", name, i)
	}
	return all
}

// placeOf is the seq that a cursor, or a bare seq, stands behind.
func placeOf(t *testing.T, cursor string) int64 {
	t.Helper()
	place, _, _ := strings.Cut(cursor, "-")
	seq, err := strconv.ParseInt(place, 10, 64)
	if err != nil {
		t.Fatalf("%q is no cursor: %v", cursor, err)
	}
	return seq
}

// pause waits, or returns false when ctx has ended first. It paces clients
// that try again; nothing is concluded from its having passed.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// openStore opens a database beside, or after, the servers that use it.
func openStore(t *testing.T, database string) *store.Store {
	t.Helper()
	type migrated interface {
		store.Backend
		Migrate(ctx context.Context) error
	}
	var b migrated
	var err error
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		b, err = sqlite.Open(t.Context(), sqlite.Options{Path: path})
	} else {
		b, err = postgres.Open(t.Context(), postgres.Options{URL: database})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), b, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// storedLog reads a whole log from the database itself and sees that it is
// gapless from 1 to the head that the conversation's row names.
func storedLog(t *testing.T, s *store.Store, conversation string) []store.Event {
	t.Helper()
	id, ok := store.ParseID(conversation)
	if !ok {
		t.Fatalf("%q is no id", conversation)
	}
	last, err := s.LastSeq(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []store.Event
	for more := true; more; {
		var page []store.Event
		if page, more, err = s.Events(t.Context(), id, int64(len(all))+1, last, 1000); err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			all = append(all, e)
			if e.Seq != int64(len(all)) {
				t.Fatalf("event %d of the log has seq %d", len(all), e.Seq)
			}
		}
	}
	if int64(len(all)) != last {
		t.Fatalf("the log holds %d events, its head is %d", len(all), last)
	}
	return all
}

// checkStore holds the whole database against the store's invariants.
func checkStore(t *testing.T, s *store.Store) {
	t.Helper()
	violations, err := s.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("the database breaks a rule: %v", v)
	}
}
