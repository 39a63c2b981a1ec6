package poller

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdline/store"
)

func TestPromise4SlowReaderCostsNoMemoryAndDelaysNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{RingEvents: 64, RingBytes: 64 << 10, PageBytes: 256 << 10}, true)
		slow, fast := open(t, p, bob, 0), open(t, p, bob, 0)
		slow.Watch(Watch{})
		fast.Watch(Watch{})
		for range 50 {
			for range 20 {
				l.commit(conv, store.Event{SenderID: alice, Text: strings.Repeat("y", 2000)})
			}
			synctest.Wait()
			frames := read(t, fast, 100)
			if len(frames) != 20 {
				t.Fatalf("the fast reader got %d of 20 at once", len(frames))
			}
			if s := p.Stats(); s.RingBytes > 2*64<<10 || s.PageReads != 0 {
				t.Fatalf("ring bytes %d, page reads %d", s.RingBytes, s.PageReads)
			}
		}
		wantSeqs(t, read(t, slow, 10), upTo(1, 1000))
		if s := p.Stats(); s.PageBytes > 256<<10 {
			t.Fatalf("%d bytes of pages are kept", s.PageBytes)
		}
	})
}

func TestPromise4PagesAreReadOnceForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{RingEvents: 4}, true)
		l.say(conv, alice, 1000)
		done := make(chan string)
		for range 100 {
			r := open(t, p, bob, 0)
			go func() {
				frames, err := r.Read(t.Context(), nil, 1000, 1<<20)
				if err != nil {
					t.Error(err)
				}
				done <- seqs(frames)
			}()
		}
		for range 100 {
			if got := <-done; got != upTo(1, 1000) {
				t.Errorf("got %q", got)
			}
		}
		if s := p.Stats(); s.PageReads != 8 { // 1000 events in ranges of 128
			t.Errorf("%d pages read", s.PageReads)
		}
	})
}

func TestPromise9ConversationsWithoutReaders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		p := start(t, l, Options{MaxIdleTopics: 10}, true)
		visit := func(c store.ID) {
			l.allowAll(c, bob)
			r, err := p.Open(t.Context(), Position{Conversation: c, Viewer: bob})
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		for c := store.ID(1000); c < 1100; c++ {
			visit(c)
			l.say(c, alice, 1)
		}
		if s := p.Stats(); s.Topics != 10 || s.Idle != 10 {
			t.Fatalf("%d topics, %d idle", s.Topics, s.Idle)
		}
		l.allowAll(conv, bob)
		kept := open(t, p, bob, 0)
		for c := store.ID(5000); c < 5100; c++ { // a stranger looks around
			if _, err := p.Open(t.Context(), Position{Conversation: c, Viewer: bob}); err == nil {
				t.Fatal("let in")
			}
		}
		if s := p.Stats(); s.Topics != 11 || s.Idle != 10 {
			t.Fatalf("%d topics, %d idle", s.Topics, s.Idle)
		}
		pass(2 * time.Minute)
		if s := p.Stats(); s.Topics != 1 || s.Idle != 0 || s.RingBytes != 0 {
			t.Fatalf("%+v", s)
		}
		l.say(1050, alice, 1) // nobody follows it: nothing happens
		l.say(conv, alice, 1)
		if s := p.Stats(); s.Topics != 1 {
			t.Fatalf("%d topics", s.Topics)
		}
		wantSeqs(t, read(t, kept, 9), "1")
	})
}

func TestPromise9AllRingsTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		const total = 1 << 20
		p := start(t, l, Options{TotalRingBytes: total}, true)
		var readers []*Reader
		for c := store.ID(1000); c < 1100; c++ {
			l.allowAll(c, bob)
			r, err := p.Open(t.Context(), Position{Conversation: c, Viewer: bob})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			readers = append(readers, r)
		}
		for range 100 {
			for c := store.ID(1000); c < 1100; c++ {
				l.commit(c, store.Event{SenderID: alice, Text: strings.Repeat("z", 1000)})
			}
		}
		if s := p.Stats(); s.RingBytes > total+100*1500 {
			t.Fatalf("%d bytes of rings", s.RingBytes)
		}
		pass(30 * time.Second)
		if s := p.Stats(); s.RingBytes > total*3/4 {
			t.Fatalf("%d bytes of rings after a while", s.RingBytes)
		}
		for _, r := range readers {
			wantSeqs(t, read(t, r, 1000), upTo(1, 100))
		}
	})
}

func TestPromise9WaitingCostsNoGoroutine(t *testing.T) {
	l := newMemoryLog()
	l.allowAll(conv, bob)
	p := start(t, l, Options{}, true)
	before := runtime.NumGoroutine()
	for range 1000 {
		r := open(t, p, bob, 0)
		r.Watch(Watch{Heartbeat: 15 * time.Second, Age: time.Hour})
		if r.Ready() != 0 {
			t.Fatal("nothing to wait for")
		}
	}
	if now := runtime.NumGoroutine(); now > before+8 {
		t.Fatalf("%d goroutines for 1000 readers", now-before)
	}
}

func TestPromise10CloseWakesEverybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := New(Options{Logger: quiet})
		l.feed = p.Feed
		if err := p.Start(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		r := open(t, p, bob, 0)
		r.Watch(Watch{Heartbeat: time.Second})
		woken := make(chan Wake)
		go func() {
			for {
				if got := r.Wait(nil); got&WakeEnds != 0 {
					woken <- got
					return
				}
			}
		}()
		synctest.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := <-woken; got&WakeShutdown == 0 {
			t.Fatalf("woken for %b", got)
		}
		// The store may still finish what it accepted.
		l.say(conv, alice, 3)
		p.Feed([]store.Event{{ConversationID: conv, Seq: 9}})
		if err := p.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUnparkKeepsTheOthersParked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		var readers []*Reader
		for range 10 {
			r := open(t, p, bob, 0)
			r.Watch(Watch{})
			if r.Ready() != 0 {
				t.Fatal("nothing to wait for")
			}
			readers = append(readers, r)
		}
		for _, i := range []int{9, 0, 4} {
			readers[i].topic.unpark(readers[i])
		}
		l.say(conv, alice, 1)
		synctest.Wait()
		for i, r := range readers {
			if woken, want := len(r.wake) == 1, i != 9 && i != 0 && i != 4; woken != want {
				t.Errorf("reader %d woken: %v", i, woken)
			}
		}
	})
}
