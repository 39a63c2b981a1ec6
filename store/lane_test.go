package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/sqlite"
)

// faulty is a real backend whose batches a test can hold, fail, or let fail
// after they were stored.
type faulty struct {
	store.Backend
	append func(items []*store.Append, next func() error) error
}

func (f *faulty) AppendBatch(items []*store.Append, wait bool, committed func([]store.Event)) error {
	next := func() error { return f.Backend.AppendBatch(items, wait, committed) }
	if f.append == nil {
		return next()
	}
	return f.append(items, next)
}

type laneWorld struct {
	*faulty
	t     *testing.T
	store *store.Store
	users []store.Actor
	group store.ID
	ended bool // the test has closed the store itself
}

func newLaneWorld(t *testing.T, users int, o store.Options) *laneWorld {
	t.Helper()
	ctx := t.Context()
	b, err := sqlite.Open(ctx, sqlite.Options{Path: testdb.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	w := &laneWorld{t: t, faulty: &faulty{Backend: b}}
	if w.store, err = store.New(ctx, w.faulty, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.ended {
			return
		}
		violations, err := w.store.Check(context.Background())
		if err != nil || len(violations) > 0 {
			t.Errorf("invariants: %v, %v", violations, err)
		}
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	var handles []string
	for i := range users {
		u, err := w.store.CreateUser(ctx, store.NewUser{Handle: fmt.Sprint("user", i), DisplayName: "x", Role: store.RoleUser})
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256([]byte{byte(i)})
		session, err := w.store.CreateSession(ctx, u.ID, hash[:], "")
		if err != nil {
			t.Fatal(err)
		}
		w.users = append(w.users, store.Actor{UserID: u.ID, SessionID: session.ID})
		handles = append(handles, u.Handle)
	}
	c, _, err := w.store.CreateConversation(ctx, store.NewConversation{Actor: w.users[0], Kind: store.KindGroup, Title: "t", Members: handles[1:]})
	if err != nil {
		t.Fatal(err)
	}
	w.group = c.ID
	return w
}

func (w *laneWorld) send(user int, client, text string) store.Send {
	return store.Send{Actor: w.users[user], ConversationID: w.group, ClientID: client, Text: text}
}

// sendAll sends at once and returns the errors in the order of the texts.
func (w *laneWorld) sendAll(texts []string) []error {
	errs := make([]error, len(texts))
	var all sync.WaitGroup
	for i, text := range texts {
		all.Go(func() { _, _, errs[i] = w.store.Append(context.Background(), w.send(0, fmt.Sprint(i), text)) })
	}
	all.Wait()
	return errs
}

// One message that the database refuses for an unforeseen reason fails alone.
func TestTheBadOneFailsAlone(t *testing.T) {
	w := newLaneWorld(t, 1, store.Options{})
	w.append = func(items []*store.Append, next func() error) error {
		for _, item := range items {
			if strings.HasPrefix(item.Send.Text, "poison") {
				return errors.New("pq: something nobody thought of")
			}
		}
		return next()
	}
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = fmt.Sprint("good ", i)
	}
	texts[17], texts[60] = "poison", "poison too"
	for i, err := range w.sendAll(texts) {
		bad := strings.HasPrefix(texts[i], "poison")
		if bad && store.CodeOf(err) != store.CodeInternal || !bad && err != nil {
			t.Errorf("%s: %v", texts[i], err)
		}
	}
	if last, err := w.store.LastSeq(t.Context(), w.group); err != nil || last != 99 {
		t.Errorf("last seq %d (%v), want created and 98 messages", last, err)
	}
}

// Each way a durable step can end: failed, and failed yet persisted. In both
// the repeat with the same client_id leaves exactly one message.
func TestRepeatAfterUnknownOutcome(t *testing.T) {
	for name, persisted := range map[string]bool{"failed": false, "failed yet persisted": true} {
		t.Run(name, func(t *testing.T) {
			w := newLaneWorld(t, 1, store.Options{})
			var once atomic.Bool
			w.append = func(_ []*store.Append, next func() error) error {
				if !once.CompareAndSwap(false, true) {
					return next()
				}
				if persisted {
					if err := next(); err != nil {
						return err
					}
				}
				return store.Errorf(store.CodeOutcomeUnknown, "the connection broke in COMMIT")
			}
			if _, _, err := w.store.Append(t.Context(), w.send(0, "1", "x")); store.CodeOf(err) != store.CodeOutcomeUnknown {
				t.Fatalf("append: %v", err)
			}
			e, duplicate, err := w.store.Append(t.Context(), w.send(0, "1", "x"))
			if err != nil || duplicate != persisted || e.Seq != 2 {
				t.Fatalf("the repeat: %+v, duplicate %t, %v", e, duplicate, err)
			}
		})
	}
}

// A panic below answers everybody, and the lane goes on.
func TestPanicInABatchAnswersAll(t *testing.T) {
	w := newLaneWorld(t, 1, store.Options{})
	var once atomic.Bool
	w.append = func(_ []*store.Append, next func() error) error {
		if once.CompareAndSwap(false, true) {
			panic("a driver's bug")
		}
		return next()
	}
	if _, _, err := w.store.Append(t.Context(), w.send(0, "1", "x")); store.CodeOf(err) != store.CodeOutcomeUnknown {
		t.Fatalf("append: %v", err)
	}
	if _, _, err := w.store.Append(t.Context(), w.send(0, "1", "x")); err != nil {
		t.Fatalf("the repeat: %v", err)
	}
}

// held makes every batch wait until release is called; entered tells of the first.
func (w *laneWorld) hold() (entered <-chan struct{}, release func()) {
	in, out := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.append = func(_ []*store.Append, next func() error) error {
		once.Do(func() { close(in) })
		<-out
		return next()
	}
	return in, func() { close(out) }
}

// The queue is bounded, and one sender's share of it; past either a send is
// refused at once as certainly not stored. What was queued is stored.
func TestQueueIsBounded(t *testing.T) {
	w := newLaneWorld(t, 3, store.Options{MaxQueued: 5, MaxQueuedPerSender: 3})
	entered, release := w.hold()
	answers := make(chan error, 8)
	queued := func(user, n int) {
		for i := range n {
			go func() {
				_, _, err := w.store.Append(context.Background(), w.send(user, fmt.Sprint("queued", i), "x"))
				answers <- err
			}()
		}
	}
	queued(0, 1)
	<-entered
	queued(0, 2)
	refused := func(user int) {
		t.Helper()
		for i := 0; ; i++ { // until the goroutines above have queued
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _, err := w.store.Append(ctx, w.send(user, "probe", "x"))
			if store.CodeOf(err) == store.CodeOverloaded {
				return
			}
			if store.CodeOf(err) != store.CodeOutcomeUnknown {
				t.Fatalf("append: %v", err)
			}
		}
	}
	refused(0)
	queued(1, 2)
	refused(2)
	release()
	stored := 0
	for range 5 {
		if err := <-answers; err == nil {
			stored++
		} else if store.CodeOf(err) != store.CodeOverloaded {
			t.Errorf("a queued send: %v", err)
		}
	}
	if stored == 0 {
		t.Error("nothing that was queued was stored")
	}
}

// Close stores what was queued and refuses what comes after.
func TestCloseFinishesWhatWasQueued(t *testing.T) {
	w := newLaneWorld(t, 1, store.Options{})
	entered, release := w.hold()
	answers := make(chan error, 1)
	go func() {
		_, _, err := w.store.Append(context.Background(), w.send(0, "1", "x"))
		answers <- err
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- w.store.Close() }()
	release()
	if err := <-answers; err != nil {
		t.Fatalf("a send queued before Close: %v", err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	w.ended = true
	if _, _, err := w.store.Append(t.Context(), w.send(0, "2", "x")); store.CodeOf(err) != store.CodeUnavailable {
		t.Fatalf("append after Close: %v", err)
	}
}
