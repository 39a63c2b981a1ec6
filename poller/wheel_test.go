package poller

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestWheelIsNeverEarlyAndAtMostATickLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, bob)
		p := start(t, l, Options{}, false)
		random := rand.New(rand.NewPCG(3, 4))
		for range 300 {
			r := open(t, p, bob, 0)
			wait := time.Millisecond + time.Duration(random.Int64N(int64(3*time.Minute)))
			r.Watch(Watch{Wait: wait})
			began := time.Now()
			go func() {
				got := r.Wait(nil)
				if took := time.Since(began); got != WakeDeadline || took < wait || took > wait+2*wheelTick {
					t.Errorf("woken for %b after %v, want %v", got, took, wait)
				}
			}()
		}
		pass(4 * time.Minute)
	})
}

func TestHeartbeatsComeOfSilence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		r := open(t, p, bob, 0)
		r.Watch(Watch{Heartbeat: 15 * time.Second, Cut: func() { t.Error("cut") }, WriteLimit: 20 * time.Second})
		last, beats := time.Now(), 0
		written := func() {
			r.BeginWrite()
			r.EndWrite()
			last = time.Now()
		}
		go func() {
			for range 10 {
				<-time.After(13 * time.Second)
				l.say(conv, alice, 1)
			}
		}()
		for beats < 20 {
			switch got := r.Wait(nil); got {
			case WakeEvents:
				read(t, r, 9)
			case WakeHeartbeat:
				beats++
				if s := time.Since(last); s < 15*time.Second || s > 15*time.Second+2*wheelTick {
					t.Fatalf("a heartbeat after %v of silence", s)
				}
				if r.Position() < 10 && beats > 1 {
					t.Fatalf("%d heartbeats while there was traffic", beats)
				}
			default:
				t.Fatalf("woken for %b", got)
			}
			written()
		}
	})
}

func TestPromise4AWriteThatHangsIsCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		for _, silence := range []time.Duration{0, time.Second, 14 * time.Second, 40 * time.Second} {
			r := open(t, p, bob, 0)
			cut := make(chan time.Time, 2)
			r.Watch(Watch{Heartbeat: 15 * time.Second, Cut: func() { cut <- time.Now() }, WriteLimit: 20 * time.Second})
			pass(silence)
			began := time.Now()
			r.BeginWrite()
			took := (<-cut).Sub(began)
			if took < 20*time.Second || took > 20*time.Second+2*wheelTick {
				t.Errorf("after %v of silence: cut after %v", silence, took)
			}
			pass(time.Minute)
			r.EndWrite()
			if len(cut) != 0 {
				t.Error("cut twice")
			}
		}
	})
}

func TestAgesAndExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, bob)
		p := start(t, l, Options{}, false)
		seen := map[time.Duration]bool{}
		for range 50 {
			r := open(t, p, bob, 0)
			r.Watch(Watch{Age: time.Hour})
			began := time.Now()
			go func() {
				got := r.Wait(nil)
				age := time.Since(began)
				if got != WakeAge || age < 54*time.Minute || age > 66*time.Minute+2*wheelTick {
					t.Errorf("woken for %b after %v", got, age)
				}
			}()
			seen[time.Duration(r.ages)] = true
		}
		if len(seen) < 40 {
			t.Errorf("only %d different ages of 50", len(seen))
		}
		expiring := open(t, p, bob, 0)
		began := time.Now()
		expiring.Watch(Watch{Age: time.Hour, Expires: began.Add(7 * time.Minute)})
		if got := expiring.Wait(nil); got != WakeExpired || time.Since(began) > 7*time.Minute+2*wheelTick {
			t.Errorf("woken for %b after %v", got, time.Since(began))
		}
		expired := open(t, p, bob, 0)
		expired.Watch(Watch{Expires: time.Now().Add(-time.Minute)})
		if got := expired.Wait(nil); got != WakeExpired {
			t.Errorf("woken for %b", got)
		}
		pass(time.Hour)
	})
}

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newMemoryLog()
		l.allowAll(conv, alice, bob)
		p := start(t, l, Options{}, true)
		const spread = 8 * time.Second
		poll := open(t, p, bob, 0)
		poll.Watch(Watch{Wait: 30 * time.Second})
		var ends []time.Duration
		done := make(chan time.Duration)
		began := time.Now()
		for range 40 {
			r := open(t, p, bob, 0)
			r.Watch(Watch{Heartbeat: 15 * time.Second, Age: time.Hour})
			go func() {
				for r.Wait(nil)&WakeShutdown == 0 {
					read(t, r, 9)
				}
				done <- time.Since(began)
			}()
		}
		synctest.Wait()
		p.Drain(spread)
		if got := poll.Wait(nil); got != WakeShutdown {
			t.Fatalf("woken for %b", got)
		}
		late := open(t, p, bob, 0)
		late.Watch(Watch{Heartbeat: 15 * time.Second})
		if got := late.Wait(nil); got != WakeShutdown {
			t.Fatalf("one that came after: woken for %b", got)
		}
		l.say(conv, alice, 1) // what is committed meanwhile is still given
		early := 0
		for range 40 {
			ends = append(ends, <-done)
			if ends[len(ends)-1] < spread/2 {
				early++
			}
		}
		if last := ends[len(ends)-1]; last > spread+2*wheelTick || early < 8 || early > 32 {
			t.Errorf("the last ended after %v, %d of 40 in the first half", last, early)
		}
	})
}
