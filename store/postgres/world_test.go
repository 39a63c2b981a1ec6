package postgres_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/postgres"
)

// world is a database with a group of two, and the nodes that serve it.
type world struct {
	t          *testing.T
	url        string
	raw        *sql.DB // for transactions that a test holds open by hand
	node       *store.Store
	alice, bob store.Actor
	group      store.ID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, testdb.Postgres(t))
}

// newWorldAt is newWorld on an empty database of the test's choice.
func newWorldAt(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, url: url}
	raw, err := sql.Open("postgres", w.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	w.raw = raw
	w.node = w.start(w.url, store.Options{})
	w.alice, w.bob = w.user("alice"), w.user("bob")
	w.group = w.newGroup()
	return w
}

// start opens one more node on the database at url.
func (w *world) start(url string, o store.Options) *store.Store {
	w.t.Helper()
	ctx := w.t.Context()
	b, err := postgres.Open(ctx, postgres.Options{URL: url})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := b.Migrate(ctx); err != nil {
		w.t.Fatal(err)
	}
	s, err := store.New(ctx, b, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	})
	return s
}

func (w *world) user(handle string) store.Actor {
	w.t.Helper()
	u, err := w.node.CreateUser(w.t.Context(), store.NewUser{Handle: handle, DisplayName: handle, Role: store.RoleUser})
	if err != nil {
		w.t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(handle))
	session, err := w.node.CreateSession(w.t.Context(), u.ID, hash[:], "")
	if err != nil {
		w.t.Fatal(err)
	}
	return store.Actor{UserID: u.ID, SessionID: session.ID}
}

// newGroup makes a group of alice and bob.
func (w *world) newGroup() store.ID {
	w.t.Helper()
	c, _, err := w.node.CreateConversation(w.t.Context(), store.NewConversation{
		Actor: w.alice, Kind: store.KindGroup, Title: "tea", Members: []string{"bob"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

func (w *world) send(by store.Actor, client, text string) store.Send {
	return store.Send{Actor: by, ConversationID: w.group, ClientID: client, Text: text}
}

// hold runs statements in a transaction that stays open; release commits it.
func (w *world) hold(statements ...string) (release func()) {
	w.t.Helper()
	tx, err := w.raw.BeginTx(context.Background(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := tx.Exec(s); err != nil {
			w.t.Fatal(err)
		}
	}
	var once sync.Once
	release = func() {
		once.Do(func() {
			if err := tx.Commit(); err != nil {
				w.t.Errorf("commit: %v", err)
			}
		})
	}
	w.t.Cleanup(release)
	return release
}

// lockGroup is the statement that holds the group's row.
func (w *world) lockGroup() string {
	return fmt.Sprintf("SELECT 1 FROM conversations WHERE conversation_id = %d FOR UPDATE", int64(w.group))
}

// until waits for a condition that other goroutines or the server bring about.
func (w *world) until(what string, condition func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// waiting returns how many backends wait for a lock of the given type.
func (w *world) waiting(lockType string) int {
	var n int
	if err := w.raw.QueryRow(`SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = $1`, lockType).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// log returns the group's whole log, having checked every invariant.
func (w *world) log() []store.Event {
	w.t.Helper()
	violations, err := w.node.Check(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range violations {
		w.t.Errorf("invariant broken: %v", v)
	}
	events, _, err := w.node.Events(w.t.Context(), w.group, 1, 1<<62, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

// texts returns the texts of the group's messages, in order.
func (w *world) texts() []string {
	w.t.Helper()
	var texts []string
	for _, e := range w.log() {
		if e.Type == store.EventMessage {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// answer is what Append returned.
type answer struct {
	event     store.Event
	duplicate bool
	err       error
	took      time.Duration
}

// appendAsync sends from another goroutine.
func (w *world) appendAsync(node *store.Store, send store.Send) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		begun := time.Now()
		e, duplicate, err := node.Append(context.Background(), send)
		answers <- answer{e, duplicate, err, time.Since(begun)}
	}()
	return answers
}
