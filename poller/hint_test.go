package poller

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"holdline/store"
)

func TestPromise3SweepFindsWhatHintsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, false)
		r := open(t, p, bob, 0)
		r.Watch(Watch{})
		for round := range int64(5) {
			l.say(conv, alice, 3)
			began := time.Now()
			for r.Position() < 3*(round+1) {
				waitFor(t, r, WakeEvents)
				read(t, r, 100)
			}
			if took := time.Since(began); took > time.Second {
				t.Fatalf("found after %v", took)
			}
		}
	})
}

func TestPromise3HintsInAnyOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{SweepInterval: time.Hour}, false)
		r := open(t, p, bob, 0)
		r.Watch(Watch{})
		random := rand.New(rand.NewPCG(1, 2))
		var frames []Frame
		for range 200 {
			l.say(conv, alice, 1)
			head := int64(len(l.events[conv]))
			switch random.IntN(4) {
			case 0: // lost
			case 1: // late, and again
				old := store.Head{ConversationID: conv, LastSeq: 1 + random.Int64N(head)}
				p.topics.hint([]store.Head{old, old}, false)
			case 2: // false
				p.topics.hint([]store.Head{{ConversationID: conv, LastSeq: head + random.Int64N(1<<40)}}, false)
			case 3: // fed behind a gap, then repeated
				e := l.events[conv][head-1]
				p.Feed([]store.Event{e})
				p.Feed([]store.Event{e})
			}
			synctest.Wait()
			frames = append(frames, read(t, r, 100)...)
		}
		p.topics.hint([]store.Head{{ConversationID: conv, LastSeq: 200}}, false)
		synctest.Wait()
		wantSeqs(t, append(frames, read(t, r, 100)...), upTo(1, 200))
	})
}

func TestPromise3FalseHintDoesNotSpin(t *testing.T) {
	for _, ahead := range []int64{1, 50, 1 << 50} {
		bubble(t, func(t *testing.T) {
			l := newMemoryLog()
			l.allowAll(conv, alice, bob)
			p := start(t, l, Options{}, true)
			l.say(conv, alice, 3)
			r := open(t, p, bob, 3)
			r.Watch(Watch{Wait: 30 * time.Second})
			p.topics.hint([]store.Head{{ConversationID: conv, LastSeq: 3 + ahead}}, false)
			if got := r.Wait(nil); got != WakeDeadline {
				t.Fatalf("woken for %b", got)
			}
			if e, h := l.reads(); e+h > 2 {
				t.Fatalf("%d reads of events and %d of the head for one false hint", e, h)
			}
			if head, fresh := r.Head(); head != 3 || !fresh {
				t.Fatalf("head %d, fresh %v", head, fresh)
			}
			l.say(conv, alice, 1)
			synctest.Wait()
			wantSeqs(t, read(t, r, 9), "4")
		})
	}
}

func TestPromise3HeadIsKnownWhileTheSweepWorks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, false)
		r := open(t, p, bob, 0)
		want := func(seq int64, fresh bool) {
			t.Helper()
			if s, f := r.Head(); s != seq || f != fresh {
				t.Fatalf("head %d fresh %v, want %d %v", s, f, seq, fresh)
			}
		}
		want(0, true)
		l.say(conv, alice, 2)
		pass(time.Second)
		want(2, true)
		l.set(func() { l.sweepDown = true })
		l.say(conv, alice, 2)
		pass(time.Second)
		want(2, false)
		l.set(func() { l.sweepDown = false })
		pass(time.Second)
		want(4, true)
	})
}

func TestPromise3HeadIsWhatTheSweepReadNotWhatAHintSays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, false)
		r := open(t, p, bob, 0)
		blocked := make(chan struct{})
		l.onEvents = func() { <-blocked } // nobody can fill the topic
		p.topics.hint([]store.Head{{ConversationID: conv, LastSeq: 9}}, false)
		synctest.Wait()
		if head, _ := r.Head(); head != 0 {
			t.Fatalf("a hint made the head %d", head)
		}
		l.say(conv, alice, 2)
		pass(time.Second)
		if head, fresh := r.Head(); head != 2 || !fresh {
			t.Fatalf("head %d, fresh %v", head, fresh)
		}
		close(blocked)
	})
}

func TestPromise3DatabaseDownThenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, false)
		r := open(t, p, bob, 0)
		r.Watch(Watch{})
		l.set(func() { l.down = true })
		l.say(conv, alice, 5)
		p.topics.hint([]store.Head{{ConversationID: conv, LastSeq: 5}}, false)
		pass(20 * time.Second)
		if frames, err := r.Read(t.Context(), nil, 10, 1000); len(frames) != 0 || err != nil {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		l.set(func() { l.down = false })
		pass(time.Second)
		waitFor(t, r, WakeEvents)
		wantSeqs(t, read(t, r, 100), upTo(1, 5))
	})
}

func TestPromise6LaggingTopicIsNotACursorAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{SweepInterval: time.Hour}, false)
		open(t, p, alice, 0) // the topic is at 0
		l.say(conv, alice, 5)
		// Nothing has told this node; bob comes from another node with cursor 4.
		r := open(t, p, bob, 4)
		wantSeqs(t, read(t, r, 9), "5")
		for _, at := range []Position{{After: 6}, {After: 2, Epoch: "e0"}} {
			at.Conversation, at.Viewer = conv, bob
			_, err := p.Open(t.Context(), at)
			var reset *ResetError
			if !errors.As(err, &reset) || reset.FirstSeq != 1 || reset.LastSeq != 5 || store.CodeOf(err) != store.CodeCursorReset {
				t.Fatalf("%+v: %v", at, err)
			}
		}
		if _, err := p.Open(t.Context(), Position{Conversation: conv, Viewer: 99}); store.CodeOf(err) != store.CodeNotFound {
			t.Fatalf("a stranger: %v", err)
		}
	})
}

func TestPromise6ReadsWhatItKnowsWithoutWaitingForTheFiller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{SweepInterval: time.Hour}, false)
		open(t, p, alice, 0)
		l.say(conv, alice, 300)
		var first bool
		blocked := make(chan struct{})
		l.onEvents = func() { // the first read, the filler's, hangs
			l.mu.Lock()
			mine := !first
			first = true
			l.mu.Unlock()
			if mine {
				<-blocked
			}
		}
		p.topics.hint([]store.Head{{ConversationID: conv, LastSeq: 2}}, false)
		synctest.Wait()
		r := open(t, p, bob, 0)
		wantSeqs(t, read(t, r, 1000), upTo(1, 300))
		close(blocked)
	})
}

func TestPromise7FeedDoesNotWaitForTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, false)
		r := open(t, p, bob, 0)
		r.Watch(Watch{})
		blocked := make(chan struct{})
		l.onEvents = func() { <-blocked }
		l.say(conv, alice, 3)
		p.Feed(l.events[conv][2:]) // a gap: the filler is stuck in the log
		synctest.Wait()
		p.Feed(l.events[conv][:1]) // and this still goes through
		waitFor(t, r, WakeEvents)
		wantSeqs(t, read(t, r, 9), "1")
		close(blocked)
		waitFor(t, r, WakeEvents)
		wantSeqs(t, read(t, r, 9), "2 3")
	})
}

// relay is Hints between Pollers in one process; it can lose and invent.
type relay struct {
	others []*relay
	in     chan []store.Head
	lost   chan struct{}
}

func newRelays(n int) []*relay {
	relays := make([]*relay, n)
	for i := range relays {
		relays[i] = &relay{in: make(chan []store.Head, 100), lost: make(chan struct{}, 1)}
	}
	for i, r := range relays {
		for j, other := range relays {
			if i != j {
				r.others = append(r.others, other)
			}
		}
	}
	return relays
}

func (r *relay) Send(_ context.Context, heads []store.Head) error {
	for _, other := range r.others {
		select {
		case other.in <- append([]store.Head(nil), heads...):
		default:
		}
	}
	return nil
}

func (r *relay) Receive(ctx context.Context, receive func([]store.Head), lost func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case heads := <-r.in:
			receive(heads)
		case <-r.lost:
			lost()
		}
	}
}

func TestPromise3HintsBetweenNodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		relays := newRelays(2)
		writer := start(t, l, Options{SweepInterval: time.Hour, Hints: relays[0]}, true)
		other := New(Options{SweepInterval: time.Hour, Hints: relays[1], Logger: quiet})
		if err := other.Start(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		r := open(t, other, bob, 0)
		r.Watch(Watch{})
		l.say(conv, alice, 3)
		l.say(conv2, alice, 1) // nobody follows it
		synctest.Wait()
		wantSeqs(t, read(t, r, 9), "1 2 3")

		// A hint is lost, and its carrier says so: the sweep does not wait for its interval.
		l.feed = nil
		l.say(conv, alice, 1)
		relays[1].lost <- struct{}{}
		synctest.Wait()
		wantSeqs(t, read(t, r, 9), "4")
		if s := writer.Stats(); s.HintsSent == 0 || s.HintsSent > 4 {
			t.Fatalf("%d conversations named", s.HintsSent)
		}
		r.Close()
		if err := other.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
