package poller

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"holdline/store"
)

// Wake says why a waiting reader was woken; several reasons may come together.
type Wake uint32

// Reasons to wake.
const (
	// WakeEvents: there may be something to read.
	WakeEvents Wake = 1 << iota
	// WakeHeartbeat: nothing has been written for Watch.Heartbeat.
	WakeHeartbeat
	// WakeRetry: the time given to Pause is over.
	WakeRetry
	// WakeGone: the channel given to Wait is closed.
	WakeGone
	// WakeRemoved: the viewer may have been removed; told only to who coalesces.
	WakeRemoved

	// The reasons below stay set: the reader is to end.

	// WakeDeadline: Watch.Wait is over.
	WakeDeadline
	// WakeExpired: Watch.Expires is past.
	WakeExpired
	// WakeAge: Watch.Age is over; give everything committed, then end.
	WakeAge
	// WakeShutdown: the node is going down; give everything committed, then end.
	WakeShutdown
	// WakeRevoked: the session has ended; give nothing more.
	WakeRevoked
	// WakeReset: the database has a new epoch; this reader's cursor is void.
	WakeReset
)

// WakeEnds are the reasons after which a reader is to end.
const WakeEnds = WakeDeadline | WakeExpired | WakeAge | WakeShutdown | WakeRevoked | WakeReset

// wakePassing are the reasons that are told once.
const wakePassing = WakeHeartbeat | WakeRetry | WakeRemoved

// Watch says what besides events wakes a reader. The zero value of each field
// means never.
type Watch struct {
	Wait      time.Duration // WakeDeadline after this long
	Heartbeat time.Duration // WakeHeartbeat after this long without a write
	Age       time.Duration // WakeAge after this long, ± a tenth
	Expires   time.Time     // WakeExpired then
	// Coalesce holds the first event that is waited for back for so long, and
	// whatever comes meanwhile; any other reason to wake gives it free.
	Coalesce time.Duration
	// Ring, if given, is called in place of a wake-up of Wait, from any goroutine
	// and often for nothing, before the reader is Closed or just after: Ready tells
	// whether there was a reason. It must not block.
	Ring func()
	// Cut is called, once and from another goroutine, when a write has lasted
	// longer than WriteLimit. It must make the write fail, and not block.
	Cut        func()
	WriteLimit time.Duration
}

// waiter is the part of a reader that waits: it belongs to a user's session,
// and is woken by what it waits for, by time, and by its own end.
type waiter struct {
	wake  chan struct{} // holds one wake-up; nil until it waits, and where there is a ring
	ring  func()        // Watch.Ring
	flags atomic.Uint32 // Wake

	// wrote is the time of the last write, negative while a write goes on.
	wrote atomic.Int64

	coalesce int64 // Watch.Coalesce
	paused   bool  // events do not wake it, until WakeRetry
	idle     bool  // the last Read gave nothing, or nothing followed it: what comes next is the first

	user, session      store.ID
	userPrev, userNext *waiter // guarded by waiters.mu

	// Guarded by wheel.mu: times since the Poller's birth, 0 for never.
	wheelPrev, wheelNext *waiter
	slot                 int32 // -1: in no slot
	expires, ages        int64
	deadline, resumes    int64
	heartbeat            int64 // durations
	writeLimit           int64
	ageReason            Wake
	cut                  func()
}

// raise sets reasons and wakes.
func (w *waiter) raise(reason Wake) {
	w.flags.Or(uint32(reason))
	w.signal()
}

// signal wakes w, now or when it next waits.
func (w *waiter) signal() {
	if w.ring != nil {
		w.ring()
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// expect makes w one that is woken, by its ring if it is given one.
func (w *waiter) expect(ring func()) {
	if w.ring = ring; ring == nil {
		w.wake = make(chan struct{}, 1)
	}
}

// await blocks until ready gives a reason, or done is closed.
func (w *waiter) await(ready func() Wake, done <-chan struct{}) Wake {
	for {
		if reason := ready(); reason != 0 {
			return reason
		}
		if done == nil {
			<-w.wake
			continue
		}
		select {
		case <-w.wake:
		case <-done:
			return WakeGone
		}
	}
}

// reasons returns what is set, and clears what is told once.
func (w *waiter) reasons() Wake {
	if w.flags.Load() == 0 {
		return 0
	}
	return Wake(w.flags.And(^uint32(wakePassing)))
}

// waiters are all readers that wait, by user.
type waiters struct {
	mu       sync.Mutex
	byUser   map[store.ID]*waiter // the first of the user's
	count    int
	draining bool
}

func (ws *waiters) init() { ws.byUser = make(map[store.ID]*waiter) }

// add makes w known; draining says that it is to end already.
func (ws *waiters) add(w *waiter) (draining bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	first := ws.byUser[w.user]
	w.userNext = first
	if first != nil {
		first.userPrev = w
	}
	ws.byUser[w.user] = w
	ws.count++
	return ws.draining
}

func (ws *waiters) remove(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	switch {
	case w.userPrev != nil:
		w.userPrev.userNext = w.userNext
	case w.userNext != nil:
		ws.byUser[w.user] = w.userNext
	default:
		delete(ws.byUser, w.user)
	}
	if w.userNext != nil {
		w.userNext.userPrev = w.userPrev
	}
	w.userPrev, w.userNext = nil, nil
	ws.count--
}

// release gives free what is held back.
func (ws *waiters) release() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.each(func(w *waiter) {
		if w.coalesce > 0 {
			w.raise(WakeRemoved)
		}
	})
}

// removed wakes what a user waits with, when they are removed from a
// conversation: an ending is not held back.
func (ws *waiters) removed(user store.ID) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := ws.byUser[user]; w != nil; w = w.userNext {
		if w.coalesce > 0 {
			w.raise(WakeRemoved)
		}
	}
}

func (ws *waiters) revoke(user, session store.ID) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := ws.byUser[user]; w != nil; w = w.userNext {
		if session == 0 || w.session == session {
			w.raise(WakeRevoked)
		}
	}
}

// each calls fn for every waiter; mu is held.
func (ws *waiters) each(fn func(*waiter)) {
	for _, w := range ws.byUser {
		for ; w != nil; w = w.userNext {
			fn(w)
		}
	}
}

func (ws *waiters) reset() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.each(func(w *waiter) { w.raise(WakeReset) })
}

// drain ends everyone: those that hold a request back at once, the streams at
// random moments within spread.
func (ws *waiters) drain(p *Poller, spread time.Duration) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.draining = true
	ws.each(func(w *waiter) {
		if w.heartbeat == 0 || spread <= 0 {
			w.raise(WakeShutdown)
			return
		}
		p.wheel.end(w, p.now()+rand.Int64N(int64(spread)))
	})
}
