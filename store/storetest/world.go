package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdline/store"
)

// world is a database of a test's own and the store over it.
type world struct {
	*testing.T
	store   *store.Store
	backend *counting
	dialect Dialect

	back atomic.Int64 // how far the clock is behind (negative: ahead), ns

	mu  sync.Mutex
	fed map[store.ID][]store.Event // as the feed got them
}

// counting is the backend with its writes counted.
type counting struct {
	store.Backend
	writes atomic.Int64
	keep   bool // the store's Close leaves it open for the test to look at
}

func (c *counting) Close() error {
	if c.keep {
		return nil
	}
	return c.Backend.Close()
}

func (c *counting) Write(ctx context.Context, fn func(tx *store.Tx) error, committed func()) error {
	c.writes.Add(1)
	return c.Backend.Write(ctx, fn, committed)
}

// insideKey is the context key of an open transaction that reads run in.
type insideKey struct{}

func (c *counting) Read(ctx context.Context, fn func(tx *store.Tx) error) error {
	if tx, ok := ctx.Value(insideKey{}).(*store.Tx); ok {
		return fn(tx)
	}
	return c.Backend.Read(ctx, fn)
}

func (s *suite) world(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dialect: s.dialect, backend: &counting{Backend: s.open(t)}, fed: make(map[store.ID][]store.Event)}
	var err error
	w.store, err = store.New(t.Context(), w.backend, store.Options{
		Feed:            w.feed,
		HorizonInterval: 20 * time.Millisecond,
		Clock:           func() time.Time { return time.Now().Add(-time.Duration(w.back.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.end)
	return w
}

// another is a second node over the same database; its events are not fed.
func (w *world) another() *store.Store {
	w.Helper()
	node, err := store.New(w.Context(), shared{w.backend}, store.Options{})
	w.must(err)
	w.Cleanup(func() {
		if err := node.Close(); err != nil {
			w.Errorf("close the second node: %v", err)
		}
	})
	return node
}

// shared is a backend that its store does not close.
type shared struct{ store.Backend }

func (shared) Close() error { return nil }

func (w *world) feed(events []store.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		w.fed[e.ConversationID] = append(w.fed[e.ConversationID], e)
	}
}

// end checks the invariants of the database and of the feed, and closes both.
func (w *world) end() {
	w.Helper()
	defer func() {
		err := w.store.Close()
		if w.backend.keep {
			err = errors.Join(err, w.backend.Backend.Close())
		}
		if err != nil {
			w.Errorf("close: %v", err)
		}
	}()
	for _, v := range w.violations() {
		w.Errorf("invariant broken: %v", v)
	}
	w.checkFeed()
}

func (w *world) violations() []store.Violation {
	w.Helper()
	violations, err := w.store.Check(context.Background())
	if err != nil {
		w.Errorf("check: %v", err)
	}
	return violations
}

// checkFeed makes sure that the feed got the whole log, each event once, as it
// is stored; in the order of seq where writes come one after the other (doc.go,
// promise 6).
func (w *world) checkFeed() {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, fed := range w.fed {
		stored, more, err := w.store.Events(context.Background(), id, 1, 1<<40, len(fed)+1)
		if err != nil {
			w.Errorf("events: %v", err)
			continue
		}
		if more && len(stored) < len(fed) {
			continue // a page ends by its bytes; such logs are compared by the test itself
		}
		if w.dialect.ConcurrentWrites {
			slices.SortFunc(fed, func(a, b store.Event) int { return int(a.Seq - b.Seq) })
		}
		if !slices.Equal(fed, stored) {
			w.Errorf("the feed of %s got %s, the log holds %s", id, seqs(fed), seqs(stored))
		}
	}
}

func seqs(events []store.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, " %d:%s", e.Seq, e.Type)
	}
	return strings.TrimSpace(b.String())
}

// user makes an account with a session.
func (w *world) user(handle string) store.Actor {
	w.Helper()
	u, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: handle, DisplayName: strings.ToUpper(handle)})
	w.must(err)
	return store.Actor{UserID: u.ID, SessionID: w.session(u.ID, handle)}
}

func (w *world) session(user store.ID, secret string) store.ID {
	w.Helper()
	session, err := w.store.CreateSession(w.Context(), user, hash(secret), "device of "+secret)
	w.must(err)
	return session.ID
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// group makes a group with history for those who join later as given.
func (w *world) group(owner store.Actor, history string, handles ...string) store.ID {
	w.Helper()
	c, created, err := w.store.CreateConversation(w.Context(), store.NewConversation{
		Actor: owner, Kind: store.KindGroup, Title: "a group", Members: handles, History: history,
	})
	w.must(err)
	if !created {
		w.Fatal("the group exists already")
	}
	return c.ID
}

func (w *world) say(a store.Actor, conversation store.ID, text string) store.Event {
	w.Helper()
	e, _, err := w.store.Append(w.Context(), store.Send{Actor: a, ConversationID: conversation, ClientID: store.NewID().String(), Text: text})
	w.must(err)
	return e
}

func (w *world) add(a store.Actor, conversation store.ID, handles ...string) []store.Event {
	w.Helper()
	events, err := w.store.AddMembers(w.Context(), a, conversation, handles)
	w.must(err)
	return events
}

func (w *world) remove(a store.Actor, conversation, user store.ID) []store.Event {
	w.Helper()
	events, err := w.store.RemoveMember(w.Context(), a, conversation, user)
	w.must(err)
	return events
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// wants makes sure that err has the code.
func (w *world) wants(code store.Code, err error) {
	w.Helper()
	if got := store.CodeOf(err); got != code {
		w.Errorf("got %v, want code %q", err, code)
	}
}

// wantsField makes sure that err has the code and names the field.
func (w *world) wantsField(code store.Code, field string, err error) {
	w.Helper()
	w.wants(code, err)
	var e *store.Error
	if errors.As(err, &e) && e.Field != field {
		w.Errorf("got field %q (%v), want %q", e.Field, err, field)
	}
}

// exec runs raw SQL in a transaction of its own.
func (w *world) exec(query string, args ...any) {
	w.Helper()
	w.must(w.backend.Backend.Write(context.Background(), func(tx *store.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}, func() {}))
}

// number reads one number by raw SQL.
func (w *world) number(query string, args ...any) int64 {
	w.Helper()
	n, err := w.read(query, args...)
	w.must(err)
	return n
}

// read is number for goroutines other than the test's.
func (w *world) read(query string, args ...any) (n int64, err error) {
	err = w.backend.Read(context.Background(), func(tx *store.Tx) error { return tx.Get(&n, query, args...) })
	return n, err
}

// statements returns the statements that fn's reads run.
func (w *world) statements(fn func(ctx context.Context)) []statement {
	var mu sync.Mutex
	var all []statement
	fn(store.WithQueryLog(w.Context(), func(query string, args []any) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, statement{query, slices.Clone(args)})
	}))
	return all
}

type statement struct {
	query string
	args  []any
}

// eventually waits until the condition holds.
func (w *world) eventually(what string, condition func() bool) {
	w.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.Fatalf("still not: %s", what)
		}
	}
}

// together runs fn n times at once and waits for all.
func together(n int, fn func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	all.Wait()
}

// patiently repeats what certainly did nothing, because another writer held a
// row for longer than one waits: on a slow machine that may be. A deadlock is
// no such case.
func patiently(do func() error) (err error) {
	for range 30 {
		if err = do(); store.CodeOf(err) != store.CodeUnavailable || strings.Contains(err.Error(), "deadlock") {
			return err
		}
	}
	return err
}

// createAtOnce makes n creations at the same time, and returns how many of them
// made something and how many conversations they were told of.
func (w *world) createAtOnce(n int, request func(i int) store.NewConversation) (made, conversations int) {
	w.Helper()
	var mu sync.Mutex
	ids := make(map[store.ID]bool)
	together(n, func(i int) {
		c, created, err := w.store.CreateConversation(w.Context(), request(i))
		if err != nil {
			w.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		ids[c.ID] = true
		if created {
			made++
		}
	})
	return made, len(ids)
}

func equal[T comparable](w *world, what string, got, want T) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func equalSlices[T comparable](w *world, what string, got, want []T) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}
