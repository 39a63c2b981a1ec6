package poller

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdline/store"
)

func TestPromise1InOrderOnceFromRingAndStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{RingEvents: 8}, true)
		const total = 2000
		var group sync.WaitGroup
		texts := make([]string, 12)
		for i := range texts {
			r := open(t, p, bob, 0)
			r.Watch(Watch{})
			group.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), 1))
				var all []byte
				for r.Position() < total {
					frames, err := r.Read(t.Context(), nil, 1+random.IntN(40), 4000)
					if err != nil {
						t.Error(err)
						return
					}
					for _, f := range frames {
						all = f.AppendSSE(all)
					}
					if len(frames) == 0 {
						r.Wait(nil)
					}
				}
				texts[i] = string(all)
			})
		}
		group.Go(func() {
			for range total / 4 {
				l.say(conv, alice, 4)
			}
		})
		group.Wait()
		var want strings.Builder
		for i := range l.events[conv] {
			e := l.events[conv][i]
			want.Write(frameFor(encode(&e, "e1"), bob).AppendSSE(nil))
		}
		for i, text := range texts {
			if text != want.String() {
				t.Fatalf("reader %d got other bytes than the log holds", i)
			}
		}
		if p.Stats().PageReads == 0 {
			t.Error("the ring was never overrun: this tested nothing")
		}
	})
}

func TestPromise1OverrunInMidRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{RingEvents: 4}, true)
		r := open(t, p, bob, 0)
		l.say(conv, alice, 4)
		first, err := r.Read(t.Context(), nil, 2, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		l.say(conv, alice, 300) // the ring passes the reader, and some pages too
		wantSeqs(t, append(first, read(t, r, 7)...), upTo(1, 304))
	})
}

func TestPromise1PagesEndAtTheirBytesToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, false)
		for range 200 {
			l.commit(conv, store.Event{SenderID: alice, Text: strings.Repeat("x", store.MaxTextBytes)})
		}
		r := open(t, p, bob, 3)
		wantSeqs(t, read(t, r, 1000), upTo(4, 200))
		frames, err := open(t, p, bob, 0).Read(t.Context(), nil, 1000, 40_000)
		if err != nil {
			t.Fatal(err)
		}
		wantSeqs(t, frames, "1 2")
	})
}

func TestPromise2CommittedBetweenRegisteringAndReading(t *testing.T) {
	for _, feed := range []bool{true, false} {
		t.Run(fmt.Sprintf("feed=%v", feed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newMemoryLog()
				l.allowAll(conv, alice, bob)
				p := start(t, l, Options{}, feed)
				l.say(conv, alice, 3)
				// The snapshot says 3; before the reader learns of it, 4 and 5 are committed.
				l.set(func() { l.onMembership = func() { l.set(func() { l.onMembership = nil }); l.say(conv, alice, 2) } })
				r := open(t, p, bob, 0)
				r.Watch(Watch{})
				frames := read(t, r, 100)
				for r.Position() < 5 {
					waitFor(t, r, WakeEvents)
					frames = append(frames, read(t, r, 100)...)
				}
				wantSeqs(t, frames, upTo(1, 5))
			})
		})
	}
}

func TestPromise2ManyRoundsOfTheRace(t *testing.T) {
	l := newMemoryLog()
	l.allowAll(conv, alice, bob)
	p := start(t, l, Options{TopicIdle: time.Nanosecond, MaxIdleTopics: 1}, true)
	const total = 3000
	go func() {
		l.say(conv, alice, total)
	}()
	var at int64
	for at < total {
		// A new reader each time, on a topic that is often new.
		r, err := p.Open(context.Background(), Position{Conversation: conv, Viewer: bob, After: at})
		if err != nil {
			t.Fatal(err)
		}
		r.Watch(Watch{})
		frames, err := r.Read(context.Background(), nil, 3, 1<<20)
		for err == nil && len(frames) == 0 {
			r.Wait(nil)
			frames, err = r.Read(context.Background(), nil, 3, 1<<20)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if at++; f.Seq() != at {
				t.Fatalf("got seq %d, want %d", f.Seq(), at)
			}
		}
		r.Close()
		if at%5 == 0 {
			p.topics.mu.Lock()
			for p.topics.idleFirst != nil {
				p.topics.evict(p.topics.idleFirst)
			}
			p.topics.mu.Unlock()
		}
	}
}

func TestPromise1TheSendersPieceIsTheSendersOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		ra, rb := open(t, p, alice, 0), open(t, p, bob, 0)
		l.say(conv, alice, 1)
		synctest.Wait()
		own, other := read(t, ra, 9)[0], read(t, rb, 9)[0]
		if s := string(own.AppendSSE(nil)); strings.Count(s, `"client_id":"c1"`) != 1 || len(s) != own.Len() || own.Shared() != nil {
			t.Fatalf("the sender reads %s", s)
		}
		if s := string(other.AppendSSE(nil)); strings.Contains(s, "client_id") || s != string(other.Shared()) || len(s) != other.Len() {
			t.Fatalf("another reads %s", s)
		}
		if got, want := string(other.AppendSSE(nil)), "event: message\ndata: "+string(other.AppendJSON(nil))+"\nid: 1-e1\n\n"; got != want {
			t.Fatalf("frame %q, want %q", got, want)
		}
	})
}
