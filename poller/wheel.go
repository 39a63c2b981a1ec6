package poller

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	wheelTick  = 250 * time.Millisecond
	wheelSlots = 256 // what is due later than a turn is looked at once a turn
)

// wheel watches the time for all waiting readers with one goroutine: a reader
// lies in the slot of the moment at which it has to be looked at next. What is
// due is up to a tick late, never early.
type wheel struct {
	p *Poller

	mu    sync.Mutex
	slots [wheelSlots]*waiter // the first in each
	turn  int64               // ticks done since the Poller's birth
}

func (wl *wheel) init(p *Poller) { wl.p = p }

func (wl *wheel) run() {
	ticker := time.NewTicker(wheelTick)
	defer ticker.Stop()
	for {
		select {
		case <-wl.p.ctx.Done():
			return
		case <-ticker.C:
			wl.advance(wl.p.now())
		}
	}
}

// advance looks at everything in the slots up to now.
func (wl *wheel) advance(now int64) {
	wl.mu.Lock()
	defer wl.mu.Unlock()
	until := now / int64(wheelTick)
	if until-wl.turn > wheelSlots {
		wl.turn = until - wheelSlots // after a long stop once round is enough
	}
	for wl.turn < until {
		wl.turn++
		slot := wl.turn % wheelSlots
		due := wl.slots[slot]
		wl.slots[slot] = nil
		for due != nil {
			w := due
			due = w.wheelNext
			w.wheelPrev, w.wheelNext, w.slot = nil, nil, -1
			wl.place(w, w.look(now))
		}
	}
}

// watch begins to watch w.
func (wl *wheel) watch(w *waiter, o Watch) {
	now := wl.p.now()
	w.wrote.Store(now)
	w.slot = -1
	w.heartbeat, w.writeLimit, w.cut = int64(o.Heartbeat), int64(o.WriteLimit), o.Cut
	w.coalesce = int64(o.Coalesce)
	if o.Wait > 0 {
		w.deadline = now + int64(o.Wait)
	}
	if o.Age > 0 {
		w.ages = now + int64(o.Age) - int64(o.Age)/10 + rand.Int64N(int64(o.Age)/5+1)
		w.ageReason = WakeAge
	}
	if !o.Expires.IsZero() {
		w.expires = max(1, now+int64(time.Until(o.Expires)))
	}
	wl.mu.Lock()
	defer wl.mu.Unlock()
	wl.place(w, w.next(now))
}

// end makes w shut down at a moment, if nothing ends it before.
func (wl *wheel) end(w *waiter, at int64) {
	wl.mu.Lock()
	defer wl.mu.Unlock()
	if w.ages == 0 || at < w.ages {
		w.ages, w.ageReason = at, WakeShutdown
	}
	wl.move(w)
}

// resume wakes w with WakeRetry at a moment.
func (wl *wheel) resume(w *waiter, at int64) {
	wl.mu.Lock()
	defer wl.mu.Unlock()
	w.resumes = at
	wl.move(w)
}

func (wl *wheel) move(w *waiter) {
	wl.unlink(w)
	wl.place(w, w.next(wl.p.now()))
}

func (wl *wheel) remove(w *waiter) {
	wl.mu.Lock()
	defer wl.mu.Unlock()
	wl.unlink(w)
}

// place puts w into the slot for a moment; 0 leaves it out.
func (wl *wheel) place(w *waiter, at int64) {
	if at == 0 {
		return
	}
	turn := (at + int64(wheelTick) - 1) / int64(wheelTick)
	turn = min(max(turn, wl.turn+1), wl.turn+wheelSlots)
	slot := int32(turn % wheelSlots)
	w.slot, w.wheelPrev, w.wheelNext = slot, nil, wl.slots[slot]
	if w.wheelNext != nil {
		w.wheelNext.wheelPrev = w
	}
	wl.slots[slot] = w
}

func (wl *wheel) unlink(w *waiter) {
	if w.slot < 0 {
		return
	}
	if w.wheelPrev != nil {
		w.wheelPrev.wheelNext = w.wheelNext
	} else {
		wl.slots[w.slot] = w.wheelNext
	}
	if w.wheelNext != nil {
		w.wheelNext.wheelPrev = w.wheelPrev
	}
	w.wheelPrev, w.wheelNext, w.slot = nil, nil, -1
}

// look raises what is due and returns when to look again. A heartbeat that
// falls due counts as written, so that a reader which is slow to notice is not
// woken for it twice.
func (w *waiter) look(now int64) (again int64) {
	var reason Wake
	for _, timed := range []struct {
		at     *int64
		reason Wake
	}{{&w.deadline, WakeDeadline}, {&w.expires, WakeExpired}, {&w.ages, w.ageReason}, {&w.resumes, WakeRetry}} {
		if *timed.at != 0 && now >= *timed.at {
			*timed.at = 0
			reason |= timed.reason
		}
	}
	switch wrote := w.wrote.Load(); {
	case wrote < 0:
		if w.cut != nil && now+wrote >= w.writeLimit {
			w.cut()
			w.cut = nil
		}
	case w.heartbeat > 0 && now-wrote >= w.heartbeat:
		if w.wrote.CompareAndSwap(wrote, now) {
			reason |= WakeHeartbeat
		}
	}
	if reason != 0 {
		w.raise(reason)
	}
	return w.next(now)
}

// next is the earliest moment at which something can be due; 0 for never.
func (w *waiter) next(now int64) (at int64) {
	sooner := func(t int64) {
		if t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	sooner(w.deadline)
	sooner(w.expires)
	sooner(w.ages)
	sooner(w.resumes)
	// While a write goes on, silence has not begun; while none does, one may
	// begin right now, and must be looked at before its limit is over.
	silent, writing := w.wrote.Load(), now
	if silent < 0 {
		silent, writing = now, -silent
	}
	if w.heartbeat > 0 {
		sooner(silent + w.heartbeat)
	}
	if w.cut != nil {
		sooner(writing + w.writeLimit)
	}
	return at
}
