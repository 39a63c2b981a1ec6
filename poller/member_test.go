package poller

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"holdline/store"
)

// history makes: bob in 3–6, 9–11 and from 14 on; the head is 15.
func history(t *testing.T, l *memoryLog) {
	t.Helper()
	l.allowAll(conv, alice)
	l.say(conv, alice, 2)
	l.join(conv, bob)
	l.say(conv, alice, 2)
	l.remove(conv, bob) // 6
	l.say(conv, alice, 2)
	l.join(conv, bob) // 9
	l.say(conv, alice, 1)
	l.remove(conv, bob) // 11
	l.say(conv, alice, 2)
	l.join(conv, bob) // 14
	l.say(conv, alice, 1)
}

func TestPromise5GapsAreHidden(t *testing.T) {
	for _, c := range []struct {
		after int64
		want  string
	}{
		{0, "3 4 5 6 7-8 9 10 11 12-13 14 15"},
		{2, "3 4 5 6 7-8 9 10 11 12-13 14 15"},
		{5, "6 7-8 9 10 11 12-13 14 15"},
		{6, "7-8 9 10 11 12-13 14 15"},
		{7, "8-8 9 10 11 12-13 14 15"},
		{8, "9 10 11 12-13 14 15"},
		{11, "12-13 14 15"},
		{12, "13-13 14 15"},
		{13, "14 15"},
		{15, ""},
	} {
		for _, step := range []int{1, 2, 100} {
			bubble(t, func(t *testing.T) {
				l := newMemoryLog()
				p := start(t, l, Options{}, true)
				history(t, l)
				r := open(t, p, bob, c.after)
				wantSeqs(t, read(t, r, step), c.want)
				if r.FirstSeq() != 3 || r.Position() != 15 || r.More() || r.Removed() {
					t.Fatalf("first %d, position %d, more %v, removed %v", r.FirstSeq(), r.Position(), r.More(), r.Removed())
				}
			})
		}
	}
}

func TestPromise5FormerMembers(t *testing.T) {
	for _, c := range []struct {
		after   int64
		want    string
		removed bool // from the start
	}{{0, "1 2 3", false}, {2, "3", false}, {3, "", true}, {4, "", true}, {99, "", true}} {
		bubble(t, func(t *testing.T) {
			l := newMemoryLog()
			l.allowAll(conv, alice, bob)
			p := start(t, l, Options{}, true)
			l.say(conv, alice, 2)
			l.remove(conv, bob) // 3
			l.say(conv, alice, 4)
			r := open(t, p, bob, c.after)
			if r.Removed() != c.removed {
				t.Fatalf("after %d: removed %v at once", c.after, r.Removed())
			}
			if head, _ := r.Head(); head != 3 {
				t.Fatalf("a former member learns that the head is %d", head)
			}
			wantSeqs(t, read(t, r, 1), c.want)
			if !r.Removed() || r.More() {
				t.Fatalf("after %d: removed %v, more %v", c.after, r.Removed(), r.More())
			}
		})
	}
}

func TestPromise5RemovedWhileReading(t *testing.T) {
	for _, step := range []int{1, 100} {
		for _, feed := range []bool{true, false} {
			bubble(t, func(t *testing.T) {
				l := newMemoryLog()
				l.allowAll(conv, alice, bob)
				p := start(t, l, Options{}, feed)
				r := open(t, p, bob, 0)
				r.Watch(Watch{})
				other := open(t, p, alice, 0)
				l.say(conv, alice, 2)
				l.remove(conv, bob) // 3
				l.say(conv, alice, 2)
				var frames []Frame
				for !r.Removed() {
					waitFor(t, r, WakeEvents)
					frames = append(frames, read(t, r, step)...)
				}
				wantSeqs(t, frames, "1 2 3")
				pass(time.Second)
				wantSeqs(t, read(t, other, 100), upTo(1, 5))
			})
		}
	}
}

func TestPromise5RemovalAtTheEndOfWhatOneReadTakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		r := open(t, p, bob, 0)
		r.Watch(Watch{Wait: time.Minute})
		l.remove(conv, bob)
		frames, err := r.Read(t.Context(), nil, 1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		wantSeqs(t, frames, "1")
		if got := r.Wait(nil); got != WakeEvents {
			t.Fatalf("woken for %b", got)
		}
		if read(t, r, 1); !r.Removed() {
			t.Fatal("not removed")
		}
	})
}

func TestPromise5RemovedAndAddedAgainWhileReading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		r := open(t, p, bob, 0)
		r.Watch(Watch{})
		l.remove(conv, bob) // 1
		l.say(conv, alice, 2)
		l.join(conv, bob) // 4
		l.remove(conv, bob)
		l.join(conv, bob) // 6, no gap between
		l.say(conv, alice, 1)
		waitFor(t, r, WakeEvents)
		wantSeqs(t, read(t, r, 2), "1 2-3 4 5 6 7")
		l.remove(conv, bob) // 8: the stretches were read again, so it is met as before
		synctest.Wait()
		wantSeqs(t, read(t, r, 2), "8")
		if !r.Removed() {
			t.Fatal("not removed")
		}
	})
}

func TestPromise5RemovalMetWhileTheDatabaseIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		r := open(t, p, bob, 0)
		r.Watch(Watch{})
		l.set(func() { l.down = true })
		l.remove(conv, bob)
		waitFor(t, r, WakeEvents)
		frames, err := r.Read(t.Context(), nil, 9, 1000)
		wantSeqs(t, frames, "1")
		if err == nil || r.Removed() {
			t.Fatalf("whether bob was added again is not known: %v, removed %v", err, r.Removed())
		}
		r.Pause(time.Second)
		began := time.Now()
		if got := r.Wait(nil); got != WakeRetry || time.Since(began) < time.Second {
			t.Fatalf("woken for %b after %v", got, time.Since(began))
		}
		l.set(func() { l.down = false })
		read(t, r, 9)
		if !r.Removed() {
			t.Fatal("not removed")
		}
	})
}

func TestPromise8EndedSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		watched := func(user, session store.ID) *Reader {
			r, err := p.Open(t.Context(), Position{Conversation: conv, Viewer: user, Session: session})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			r.Watch(Watch{})
			return r
		}
		a1, a2, a3, b1 := watched(alice, 1), watched(alice, 2), watched(alice, 3), watched(bob, 1)
		p.Revoke(alice, 2)
		if got := a2.Wait(nil); got != WakeRevoked {
			t.Fatalf("woken for %b", got)
		}
		// Another node ends session 3: the sweep brings it.
		l.set(func() {
			l.stamp++
			l.revocations = append(l.revocations, store.Revocation{UserID: alice, SessionID: 3, Stamp: l.stamp})
		})
		began := time.Now()
		if got := a3.Wait(nil); got != WakeRevoked || time.Since(began) > time.Second {
			t.Fatalf("woken for %b after %v", got, time.Since(began))
		}
		if a1.Ending() != 0 || b1.Ending() != 0 {
			t.Fatal("others were ended too")
		}
		p.Revoke(alice, 0)
		if a1.Ending() != WakeRevoked || b1.Ending() != 0 {
			t.Fatal("all of alice's and nobody else's should have ended")
		}
	})
}

func TestPromise8WhoeverIsLeftOfManyIsFound(t *testing.T) {
	l := newMemoryLog()
	l.allowAll(conv, alice, bob)
	p := start(t, l, Options{}, true)
	random := rand.New(rand.NewPCG(8, 9))
	live := map[*Reader]bool{}
	for range 2000 {
		if len(live) > 0 && random.IntN(2) == 0 {
			for r := range live {
				r.Close()
				delete(live, r)
				break
			}
			continue
		}
		r, err := p.Open(t.Context(), Position{Conversation: conv, Viewer: alice + store.ID(random.IntN(2)), Session: 1})
		if err != nil {
			t.Fatal(err)
		}
		r.Watch(Watch{})
		live[r] = true
	}
	if n := p.Stats().Waiting; n != len(live) {
		t.Fatalf("%d waiting, %d are", n, len(live))
	}
	p.Revoke(alice, 0)
	for r := range live {
		if revoked := r.Ending() == WakeRevoked; revoked != (r.user == alice) {
			t.Errorf("a reader of %v: revoked %v", r.user, revoked)
		}
		r.Close()
	}
	if n := p.Stats().Waiting; n != 0 {
		t.Fatalf("%d waiting", n)
	}
}

func TestPromise8NewEpochResetsEveryReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		l.say(conv, alice, 5)
		r := open(t, p, bob, 5)
		r.Watch(Watch{})
		quick := open(t, p, bob, 5)
		l.set(func() { // restored to an older state
			l.epoch = "e2"
			l.events[conv] = l.events[conv][:3]
		})
		began := time.Now()
		if got := r.Wait(nil); got != WakeReset || time.Since(began) > time.Second {
			t.Fatalf("woken for %b after %v", got, time.Since(began))
		}
		// One that began to wait too late to be told finds out by itself.
		quick.Watch(Watch{})
		read(t, quick, 100)
		if got := quick.Wait(nil); got != WakeReset {
			t.Fatalf("woken for %b", got)
		}
		fresh, err := p.Open(t.Context(), Position{Conversation: conv, Viewer: bob, After: 1, Epoch: "e2"})
		if err != nil {
			t.Fatal(err)
		}
		defer fresh.Close()
		frames := read(t, fresh, 100)
		wantSeqs(t, frames, "2 3")
		if got := string(frames[1].AppendSSE(nil)); got[len(got)-len("id: 3-e2\n\n"):] != "id: 3-e2\n\n" {
			t.Fatalf("frame %q", got)
		}
		if p.Epoch() != "e2" {
			t.Fatalf("epoch %s", p.Epoch())
		}
	})
}
