package sqlite_test

import (
	"crypto/sha256"
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/sqlite"
)

// world is a file with a group of one, and the store that serves it.
type world struct {
	t     *testing.T
	path  string
	back  *sqlite.Backend
	node  *store.Store
	alice store.Actor
	group store.ID
}

func newWorld(t *testing.T, o sqlite.Options) *world {
	t.Helper()
	w := &world{t: t, path: testdb.SQLite(t)}
	o.Path = w.path
	w.back, w.node = w.start(o)
	ctx := t.Context()
	u, err := w.node.CreateUser(ctx, store.NewUser{Handle: "alice", DisplayName: "Alice", Role: store.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte("alice"))
	session, err := w.node.CreateSession(ctx, u.ID, hash[:], "")
	if err != nil {
		t.Fatal(err)
	}
	w.alice = store.Actor{UserID: u.ID, SessionID: session.ID}
	c, _, err := w.node.CreateConversation(ctx, store.NewConversation{Actor: w.alice, Kind: store.KindGroup, Title: "notes"})
	if err != nil {
		t.Fatal(err)
	}
	w.group = c.ID
	return w
}

func (w *world) start(o sqlite.Options) (*sqlite.Backend, *store.Store) {
	w.t.Helper()
	b, err := sqlite.Open(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := b.Migrate(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	s, err := store.New(w.t.Context(), b, store.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	})
	return b, s
}

func (w *world) send(client, text string) store.Send {
	return store.Send{Actor: w.alice, ConversationID: w.group, ClientID: client, Text: text}
}

func (w *world) check() {
	w.t.Helper()
	violations, err := w.node.Check(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range violations {
		w.t.Errorf("invariant broken: %v", v)
	}
}
