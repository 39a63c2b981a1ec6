package poller

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/sqlite"
)

// node is a store with its live plane, on a real database.
type node struct {
	*Poller
	store *store.Store
}

func newNode(t *testing.T, b store.Backend, o Options) *node {
	t.Helper()
	o.Logger = quiet
	n := &node{Poller: New(o)}
	var err error
	if n.store, err = store.New(t.Context(), b, store.Options{Logger: quiet, Feed: n.Feed, FeedMoved: n.FeedMoved}); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context(), n.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := n.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func onSQLite(t *testing.T, o Options) *node {
	t.Helper()
	b, err := sqlite.Open(t.Context(), sqlite.Options{Path: testdb.SQLite(t), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return newNode(t, b, o)
}

func onPostgres(t *testing.T, url string, o Options) *node {
	t.Helper()
	b, err := postgres.Open(t.Context(), postgres.Options{URL: url, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return newNode(t, b, o)
}

func pgHints(t *testing.T, url string) *PostgresHints {
	t.Helper()
	h, err := NewPostgresHints(url, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// people makes accounts with a session each, and a group of them.
func (n *node) people(t *testing.T, handles ...string) (actors []store.Actor, group store.ID) {
	t.Helper()
	for _, handle := range handles {
		u, err := n.store.CreateUser(t.Context(), store.NewUser{Handle: handle, DisplayName: handle, Role: store.RoleUser})
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256([]byte(handle))
		s, err := n.store.CreateSession(t.Context(), u.ID, hash[:], "test")
		if err != nil {
			t.Fatal(err)
		}
		actors = append(actors, store.Actor{UserID: u.ID, SessionID: s.ID})
	}
	c, _, err := n.store.CreateConversation(t.Context(), store.NewConversation{Actor: actors[0], Kind: store.KindGroup, Members: handles})
	if err != nil {
		t.Fatal(err)
	}
	return actors, c.ID
}

func (n *node) send(t *testing.T, from store.Actor, group store.ID, text string) store.Event {
	t.Helper()
	e, _, err := n.store.Append(t.Context(), store.Send{Actor: from, ConversationID: group, ClientID: text, Text: text})
	if err != nil {
		t.Error(err)
	}
	return e
}

// follow reads from a place up to a seq, and returns the frames as written.
func (n *node) follow(t *testing.T, who store.Actor, group store.ID, after, last int64) string {
	t.Helper()
	r, err := n.Open(t.Context(), Position{Conversation: group, Viewer: who.UserID, Session: who.SessionID, After: after})
	if err != nil {
		t.Error(err)
		return ""
	}
	defer r.Close()
	r.Watch(Watch{Wait: 30 * time.Second})
	var all []byte
	for r.Position() < last {
		frames, err := r.Read(t.Context(), nil, 50, 1<<16)
		if err != nil {
			t.Error(err)
			return ""
		}
		for _, f := range frames {
			all = f.AppendSSE(all)
		}
		if len(frames) == 0 && r.Wait(nil)&WakeDeadline != 0 {
			t.Errorf("only at %d of %d after 30 s", r.Position(), last)
			return ""
		}
	}
	return string(all)
}

// chorus has senders on all nodes and readers on all nodes, at the same time.
func chorus(t *testing.T, nodes ...*node) {
	t.Helper()
	people, group := nodes[0].people(t, "ann", "bob", "cat")
	const senders, each = 8, 40
	const last = 1 + senders*each
	var work sync.WaitGroup
	for i := range senders {
		work.Go(func() {
			for k := range each {
				nodes[i%len(nodes)].send(t, people[i%2], group, fmt.Sprintf("%d.%d", i, k))
			}
		})
	}
	got := make([]string, 6)
	for i := range got {
		work.Go(func() { got[i] = nodes[i%len(nodes)].follow(t, people[2], group, 0, last) })
	}
	work.Wait()
	for i := range got {
		if got[i] != got[0] {
			t.Errorf("reader %d read other bytes than reader 0", i)
		}
	}
	if n := strings.Count(got[0], "\nid: "); n != last && !t.Failed() {
		t.Errorf("%d frames of %d", n, last)
	}
}

func TestPromise1OnRealStores(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { chorus(t, onSQLite(t, Options{RingEvents: 16})) })
	t.Run("postgres, two nodes, only the sweep", func(t *testing.T) {
		url := testdb.Postgres(t)
		o := Options{RingEvents: 16, SweepInterval: 50 * time.Millisecond}
		chorus(t, onPostgres(t, url, o), onPostgres(t, url, o))
	})
	t.Run("postgres, two nodes, hints", func(t *testing.T) {
		url := testdb.Postgres(t)
		o := func() Options {
			return Options{RingEvents: 16, SweepInterval: time.Second, Hints: pgHints(t, url)}
		}
		chorus(t, onPostgres(t, url, o()), onPostgres(t, url, o()))
	})
}

func TestPromise3PostgresHints(t *testing.T) {
	url := testdb.Postgres(t)
	hints := pgHints(t, url)
	writer := onPostgres(t, url, Options{SweepInterval: time.Hour, Hints: pgHints(t, url)})
	reader := onPostgres(t, url, Options{SweepInterval: time.Hour, Hints: hints})
	people, group := writer.people(t, "ann", "bob")
	// The listener has connected, and asked for the sweep that this demands.
	settled := func(sweeps int64) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for reader.Stats().Sweeps < sweeps {
			select {
			case <-deadline:
				t.Fatalf("%d sweeps, want %d", reader.Stats().Sweeps, sweeps)
			case <-tick.C:
			}
		}
	}
	settled(1)
	last := int64(1)
	for range 20 {
		last = writer.send(t, people[0], group, fmt.Sprint("text ", last)).Seq
		reader.follow(t, people[1], group, last-1, last)
	}
	s := reader.Stats()
	if s.Sweeps != 1 || s.HintsReceived == 0 || writer.Stats().HintsReceived != 0 {
		t.Fatalf("reader %+v, writer %+v", s, writer.Stats())
	}

	// The listening connection is killed, a hint is lost, and found when it is back.
	r, err := reader.Open(t.Context(), Position{Conversation: group, Viewer: people[1].UserID, After: last})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Watch(Watch{Wait: 20 * time.Second})
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`); err != nil {
		t.Fatal(err)
	}
	last = writer.send(t, people[0], group, "while nobody listens").Seq
	for r.Position() < last {
		if got := r.Wait(nil); got&WakeDeadline != 0 {
			t.Fatalf("at %d, the log is at %d", r.Position(), last)
		}
		if _, err := r.Read(t.Context(), nil, 9, 1<<16); err != nil {
			t.Fatal(err)
		}
	}
	settled(2)
	// Anybody can notify: nonsense does no harm.
	for _, payload := range []string{"", "x", "x y", group.String(), "00000000000 " + group.String() + ":zzz", "00000000000 " + group.String() + ":-1", "0 ???????????:1"} {
		if _, err := db.Exec(`SELECT pg_notify($1, $2)`, hintChannel, payload); err != nil {
			t.Fatal(err)
		}
	}
	last = writer.send(t, people[0], group, "the end").Seq
	reader.follow(t, people[1], group, last-1, last)
}

func TestHintPayloads(t *testing.T) {
	var heads []store.Head
	for i := range 1000 {
		heads = append(heads, store.Head{ConversationID: store.NewID(), LastSeq: int64(i)<<40 + 1})
	}
	var back []store.Head
	rest := heads
	for payloads := 1; len(rest) > 0; payloads++ {
		var payload []byte
		payload, rest = appendHints([]byte("0123456789a"), rest)
		if len(payload) > maxHintPayload || payloads > 10 {
			t.Fatalf("payload %d of %d bytes", payloads, len(payload))
		}
		node, got := parseHints(string(payload))
		if node != "0123456789a" {
			t.Fatalf("node %q", node)
		}
		back = append(back, got...)
	}
	if fmt.Sprint(back) != fmt.Sprint(heads) {
		t.Fatal("other heads came back")
	}
}

func TestPromise8RevokedOnAnotherNode(t *testing.T) {
	url := testdb.Postgres(t)
	one := onPostgres(t, url, Options{SweepInterval: 50 * time.Millisecond})
	two := onPostgres(t, url, Options{SweepInterval: 50 * time.Millisecond})
	people, group := one.people(t, "ann", "bob")
	told := make(chan store.ID, 9)
	two.OnRevoked(func(user, _ store.ID) { told <- user })
	r, err := two.Open(t.Context(), Position{Conversation: group, Viewer: people[1].UserID, Session: people[1].SessionID, After: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Watch(Watch{Wait: 20 * time.Second})
	if err := one.store.EndSession(t.Context(), people[1].UserID, people[1].SessionID); err != nil {
		t.Fatal(err)
	}
	if got := r.Wait(nil); got != WakeRevoked {
		t.Fatalf("woken for %b", got)
	}
	if user := <-told; user != people[1].UserID {
		t.Fatalf("told of %v", user)
	}
}
