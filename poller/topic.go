package poller

import (
	"sync"
	"sync/atomic"
	"time"

	"holdline/store"
)

// topic follows one conversation on this node: its newest events, who waits
// for the next one, and how far the log is known or said to have got.
type topic struct {
	p     *Poller
	id    store.ID
	epoch string

	view atomic.Pointer[view] // replaced under mu, read by anyone

	mu   sync.Mutex
	ring ring
	// known is how far the log has certainly got; target is how far it is said
	// to have got. A filler reads until the view's head reaches target.
	known, target int64
	filling       bool
	rousing       bool // in the waker's queue
	dead          bool // evicted, or of an epoch that is over
	fedAt         int64
	// parked are the readers that have nothing to read. A reader is among them
	// while its parkRound is round; the waker takes all of them at once.
	parked, spare []*Reader
	round         uint32

	// Guarded by topics.mu:
	readers    int
	idleSince  time.Time
	prev, next *topic // in topics' list of those without readers
}

func newTopic(p *Poller, id store.ID, epoch string) *topic {
	t := &topic{p: p, id: id, epoch: epoch, round: 1}
	t.view.Store(&view{head: -1})
	return t
}

// feed takes an event that this process has committed. It is the only caller
// besides the filler that moves the head.
func (t *topic) feed(e *store.Event) {
	var ready *entry
	if head := t.view.Load().head; head >= 0 && e.Seq == head+1 {
		ready = encode(e, t.epoch) // before the lock: readers may hold it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raiseLocked(e.Seq, true)
	if head := t.view.Load().head; t.dead || head < 0 || e.Seq != head+1 {
		t.fillLocked() // a gap; nothing to do if it is a repeat
		return
	}
	if ready == nil {
		ready = encode(e, t.epoch)
	}
	t.addLocked(ready)
	t.publishLocked(e.Seq)
	t.endedLocked(ready)
	t.fillLocked()
}

// addLocked puts the next event into the ring; publishLocked makes it seen.
func (t *topic) addLocked(e *entry) {
	p := t.p
	maxEvents := p.options.RingEvents
	if p.topics.ringBytes.Load() > p.options.TotalRingBytes {
		maxEvents = 1
	}
	p.topics.ringBytes.Add(int64(t.ring.add(e, maxEvents, p.options.RingBytes)))
}

// publishLocked moves the head, never back, and has its readers woken.
func (t *topic) publishLocked(head int64) {
	t.view.Store(&view{head: head, entries: t.ring.entries})
	t.known, t.target = max(t.known, head), max(t.target, head)
	t.fedAt = t.p.now()
	if len(t.parked) > 0 && !t.rousing {
		t.rousing = true
		t.p.waker.add(t)
	}
}

// endedLocked tells whose membership an event that was published has ended.
func (t *topic) endedLocked(e *entry) {
	if e.ends != 0 {
		t.p.waiters.removed(e.ends)
	}
}

// hint says that the log has got to seq: certain when it was read from the
// log, else to be verified by the filler.
func (t *topic) hint(seq int64, certain bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raiseLocked(seq, certain)
	t.fillLocked()
}

func (t *topic) raiseLocked(seq int64, certain bool) {
	t.target = max(t.target, seq)
	if certain {
		t.known = max(t.known, seq)
	}
}

// fillLocked starts a filler if the head lags behind what is said of the log.
// Before the head is known there is nothing to fill.
func (t *topic) fillLocked() {
	head := t.view.Load().head
	if head < 0 || t.filling || t.dead || t.target <= head {
		return
	}
	t.filling = true
	t.p.filler.add(t)
}

// establish takes the head that a reader has just read from the primary.
func (t *topic) establish(last int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raiseLocked(last, true)
	if t.view.Load().head < 0 {
		t.publishLocked(last)
	}
	t.fillLocked()
}

// knownHead is how far the log has certainly got.
func (t *topic) knownHead() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known
}

// park registers r to be woken by the next event, unless there is one already.
// alive is false when the topic is over and nothing will come.
func (t *topic) park(r *Reader) (parked, alive bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || max(t.view.Load().head, r.floor) > r.pos {
		return false, !t.dead
	}
	if r.parkRound != t.round {
		r.parkRound, r.parkedAt = t.round, int32(len(t.parked))
		t.parked = append(t.parked, r)
	}
	return true, true
}

// unpark takes r out, before it goes away.
func (t *topic) unpark(r *Reader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.parkRound != t.round {
		return
	}
	r.parkRound = 0
	last := len(t.parked) - 1
	if at := int(r.parkedAt); at != last {
		t.parked[at] = t.parked[last]
		t.parked[at].parkedAt = r.parkedAt
	}
	t.parked[last] = nil
	t.parked = t.parked[:last]
}

// takeParked empties the list of waiting readers in one step. The slice is
// the caller's until the next call.
func (t *topic) takeParked() []*Reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.parked
	t.parked, t.spare = t.spare[:0], taken
	t.round++
	t.rousing = false
	return taken
}

// forgetLocked empties the ring; readers go to the store for what was in it.
func (t *topic) forgetLocked() {
	t.p.topics.ringBytes.Add(-int64(t.ring.clear()))
	t.view.Store(&view{head: t.view.Load().head})
}

// kill ends the topic: nothing fills it any more, and it wakes nobody.
func (t *topic) kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead = true
	t.forgetLocked()
}
