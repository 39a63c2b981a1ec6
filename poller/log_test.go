package poller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"holdline/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	conv  = store.ID(101)
	conv2 = store.ID(102)
	alice = store.ID(1)
	bob   = store.ID(2)
)

var errDown = errors.New("database down")

// memoryLog is a log in memory, as the store would answer for it. Its hooks
// run outside its lock, between what a test wants to happen between.
type memoryLog struct {
	InboxLog    // inboxes are tested on real stores
	mu          sync.Mutex
	epoch       string
	events      map[store.ID][]store.Event
	stretches   map[store.ID]map[store.ID][]store.Interval
	revocations []store.Revocation
	stamp       int64
	down        bool // every read fails
	sweepDown   bool // Changes fails

	feed func([]store.Event) // nil: committed by another node

	onMembership func() // after the snapshot was taken
	onEvents     func() // before the read

	eventReads, headReads int
}

func newMemoryLog() *memoryLog {
	return &memoryLog{epoch: "e1", events: map[store.ID][]store.Event{}, stretches: map[store.ID]map[store.ID][]store.Interval{}}
}

func (l *memoryLog) Membership(_ context.Context, c, user store.ID) (store.Membership, error) {
	l.mu.Lock()
	m, err := l.membership(c, user)
	hook := l.onMembership
	l.mu.Unlock()
	if hook != nil {
		hook()
	}
	return m, err
}

func (l *memoryLog) membership(c, user store.ID) (store.Membership, error) {
	if l.down {
		return store.Membership{}, errDown
	}
	s := l.stretches[c][user]
	if len(s) == 0 {
		return store.Membership{}, store.Errorf(store.CodeNotFound, "no such conversation")
	}
	return store.Membership{Intervals: slices.Clone(s), LastSeq: int64(len(l.events[c]))}, nil
}

func (l *memoryLog) Events(_ context.Context, c store.ID, from, to int64, limit int) ([]store.Event, bool, error) {
	l.mu.Lock()
	hook := l.onEvents
	l.mu.Unlock()
	if hook != nil {
		hook()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.eventReads++
	if l.down {
		return nil, false, errDown
	}
	last := min(to, int64(len(l.events[c])))
	var out []store.Event
	size := 0
	for seq := from; seq <= last && len(out) < limit; seq++ {
		e := l.events[c][seq-1]
		if size += len(e.Text); size > store.MaxPageBytes && len(out) > 0 {
			break
		}
		out = append(out, e)
	}
	return out, len(out) > 0 && out[len(out)-1].Seq < last, nil
}

func (l *memoryLog) LastSeq(_ context.Context, c store.ID) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.headReads++
	if l.down {
		return 0, errDown
	}
	return int64(len(l.events[c])), nil
}

func (l *memoryLog) Changes(_ context.Context, since int64) (store.Changes, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down || l.sweepDown {
		return store.Changes{}, errDown
	}
	c := store.Changes{Closed: l.stamp, Epoch: l.epoch}
	if since < 0 {
		return c, nil
	}
	for id, events := range l.events {
		if n := len(events); n > 0 && events[n-1].Stamp > since {
			c.Heads = append(c.Heads, store.Head{ConversationID: id, LastSeq: int64(n)})
		}
	}
	for _, r := range l.revocations {
		if r.Stamp > since {
			c.Revocations = append(c.Revocations, r)
		}
	}
	return c, nil
}

func (l *memoryLog) reads() (events, heads int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.eventReads, l.headReads
}

func (l *memoryLog) set(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// commit appends events, numbering them, and feeds them unless another node
// is to have written them.
func (l *memoryLog) commit(c store.ID, events ...store.Event) {
	l.mu.Lock()
	l.stamp++
	for i := range events {
		e := &events[i]
		e.ConversationID, e.Seq, e.Stamp = c, int64(len(l.events[c])+1), l.stamp
		e.AcceptedAt = store.Millis(1_700_000_000_000 + l.stamp)
		if e.Type == "" {
			e.Type = store.EventMessage
		}
		l.events[c] = append(l.events[c], *e)
	}
	feed := l.feed
	l.mu.Unlock()
	if feed != nil {
		feed(slices.Clone(events))
	}
}

// say commits n messages of a sender.
func (l *memoryLog) say(c, sender store.ID, n int) {
	for range n {
		l.mu.Lock()
		next := len(l.events[c]) + 1
		l.mu.Unlock()
		l.commit(c, store.Event{SenderID: sender, ClientID: fmt.Sprintf("c%d", next), Text: fmt.Sprintf("text %d", next)})
	}
}

// join opens a stretch at the next event, which says so.
func (l *memoryLog) join(c, user store.ID) {
	l.set(func() {
		if l.stretches[c] == nil {
			l.stretches[c] = map[store.ID][]store.Interval{}
		}
		l.stretches[c][user] = append(l.stretches[c][user], store.Interval{FromSeq: int64(len(l.events[c]) + 1)})
	})
	l.commit(c, store.Event{Type: store.EventMember, SenderID: alice, SubjectID: user, Action: store.MemberAdded})
}

// remove ends the user's stretch with the event that says so.
func (l *memoryLog) remove(c, user store.ID) {
	l.set(func() {
		s := l.stretches[c][user]
		s[len(s)-1].ToSeq = int64(len(l.events[c]) + 1)
	})
	l.commit(c, store.Event{Type: store.EventMember, SenderID: alice, SubjectID: user, Action: store.MemberRemoved})
}

// allowAll makes user a member from the first seq on, without an event.
func (l *memoryLog) allowAll(c store.ID, users ...store.ID) {
	l.set(func() {
		if l.stretches[c] == nil {
			l.stretches[c] = map[store.ID][]store.Interval{}
		}
		for _, u := range users {
			l.stretches[c][u] = []store.Interval{{FromSeq: 1}}
		}
	})
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// start runs a Poller over the log inside a synctest bubble, and closes it at
// the test's end. With feed, the log's commits are this node's own.
func start(t *testing.T, l *memoryLog, o Options, feed bool) *Poller {
	t.Helper()
	o.Logger = quiet
	p := New(o)
	if feed {
		l.feed = p.Feed
	}
	if err := p.Start(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// bubble runs a test under a clock that moves only when all of it waits.
func bubble(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, fn)
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func open(t *testing.T, p *Poller, viewer store.ID, after int64) *Reader {
	t.Helper()
	r, err := p.Open(t.Context(), Position{Conversation: conv, Viewer: viewer, Session: viewer * 10, After: after})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// read reads everything there is, in steps of at most so many events.
func read(t *testing.T, r *Reader, most int) []Frame {
	t.Helper()
	var all []Frame
	for {
		frames, err := r.Read(t.Context(), nil, most, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(frames) == 0 {
			return all
		}
		all = append(all, frames...)
	}
}

// seqs writes frames as "1 2 3-5": a hidden stretch with its end.
func seqs(frames []Frame) string {
	var b strings.Builder
	for i, f := range frames {
		if i > 0 {
			b.WriteByte(' ')
		}
		if fmt.Fprint(&b, f.Seq()); f.Through() != f.Seq() || strings.Contains(string(f.AppendJSON(nil)), `"hidden"`) {
			fmt.Fprint(&b, "-", f.Through())
		}
	}
	return b.String()
}

func wantSeqs(t *testing.T, frames []Frame, want string) {
	t.Helper()
	if got := seqs(frames); got != want {
		t.Fatalf("got seqs %q, want %q", got, want)
	}
}

// upTo is "from from+1 … to".
func upTo(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		if i > from {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, i)
	}
	return b.String()
}

// waitFor waits until the reader wakes for one of the reasons, skipping spurious ones.
func waitFor(t *testing.T, r *Reader, reason Wake) Wake {
	t.Helper()
	for {
		if got := r.Wait(t.Context().Done()); got&reason != 0 {
			return got
		} else if got&(WakeEnds|WakeGone) != 0 {
			t.Fatalf("woken for %b, want %b", got, reason)
		}
	}
}
