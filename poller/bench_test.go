package poller

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"holdline/store"
)

func benchPoller(b *testing.B, l *memoryLog) *Poller {
	b.Helper()
	p := New(Options{Logger: quiet})
	l.feed = p.Feed
	if err := p.Start(b.Context(), l); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			b.Log(err)
		}
	})
	return p
}

// BenchmarkFanOut: from Feed until every waiting reader has read the event.
func BenchmarkFanOut(b *testing.B) {
	for _, readers := range []int{1, 100, 2000} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			l := newMemoryLog()
			l.allowAll(conv, alice, bob)
			p := benchPoller(b, l)
			var done, ended sync.WaitGroup
			for range readers {
				r, err := p.Open(b.Context(), Position{Conversation: conv, Viewer: bob})
				if err != nil {
					b.Fatal(err)
				}
				r.Watch(Watch{Heartbeat: 15 * time.Second, Age: time.Hour})
				ended.Go(func() {
					defer r.Close()
					var frames []Frame
					for {
						var err error
						if frames, err = r.Read(b.Context(), frames[:0], 100, 1<<16); err != nil {
							return
						}
						for range frames {
							done.Done()
						}
						if len(frames) == 0 && r.Wait(nil)&WakeEnds != 0 {
							return
						}
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				done.Add(readers)
				l.commit(conv, store.Event{SenderID: alice, Text: "a text of about forty bytes, as is usual"})
				done.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(readers), "ns/reader")
			p.Drain(0)
			ended.Wait()
		})
	}
}

// BenchmarkFeed: what an event costs the store's writer, while nobody and
// while a reader follows its conversation.
func BenchmarkFeed(b *testing.B) {
	for _, followed := range []bool{false, true} {
		b.Run(fmt.Sprintf("followed=%v", followed), func(b *testing.B) {
			l := newMemoryLog()
			l.allowAll(conv, bob)
			p := benchPoller(b, l)
			if followed {
				r, err := p.Open(b.Context(), Position{Conversation: conv, Viewer: bob})
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
			}
			e := []store.Event{{ConversationID: conv, Type: store.EventMessage, SenderID: alice, ClientID: "0123456789abcdef", Text: "a text of about forty bytes, as is usual", AcceptedAt: 1_700_000_000_000}}
			b.ReportAllocs()
			for b.Loop() {
				e[0].Seq++
				p.Feed(e)
			}
		})
	}
}

// BenchmarkWaitingReader: the memory of a reader that waits, without the
// goroutine and the connection of whoever waits with it.
func BenchmarkWaitingReader(b *testing.B) {
	l := newMemoryLog()
	l.allowAll(conv, bob)
	p := benchPoller(b, l)
	const readers = 20_000
	for b.Loop() {
		all := make([]*Reader, readers)
		before := heap()
		for i := range all {
			r, err := p.Open(b.Context(), Position{Conversation: conv, Viewer: bob})
			if err != nil {
				b.Fatal(err)
			}
			r.Watch(Watch{Heartbeat: 15 * time.Second, Age: time.Hour})
			r.Ready()
			all[i] = r
		}
		b.ReportMetric(float64(heap()-before)/readers, "B/reader")
		b.ReportMetric(float64(unsafe.Sizeof(Reader{})), "B/struct")
		for _, r := range all {
			r.Close()
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCatchUp: a reader behind the ring, an event.
func BenchmarkCatchUp(b *testing.B) {
	l := newMemoryLog()
	l.allowAll(conv, alice, bob)
	p := benchPoller(b, l)
	l.say(conv, alice, 10_000)
	var frames []Frame
	b.ReportAllocs()
	for b.Loop() {
		p.pages.clear()
		r, err := p.Open(b.Context(), Position{Conversation: conv, Viewer: bob})
		if err != nil {
			b.Fatal(err)
		}
		for r.Position() < 10_000 {
			if frames, err = r.Read(b.Context(), frames[:0], 256, 16<<10); err != nil {
				b.Fatal(err)
			}
		}
		r.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/event")
}
