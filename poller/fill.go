package poller

import (
	"context"
	"sync"
	"time"

	"holdline/store"
)

const (
	maxFillers  = 8   // topics read at the same time
	fillLimit   = 256 // events a read
	readTimeout = 10 * time.Second
)

// filler reads from the log what topics lack: after a gap, which another
// node's commits leave, and after hints.
type filler struct {
	p *Poller

	mu     sync.Mutex
	queue  []*topic
	active int
	failed []*topic // to be tried again by the next sweep
}

func (f *filler) init(p *Poller) { f.p = p }

// add queues a topic; t.filling keeps it from being queued twice.
func (f *filler) add(t *topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, t)
	if f.active < maxFillers && f.p.spawn(f.run) {
		f.active++
	}
}

// run fills queued topics until there are none.
func (f *filler) run() {
	for {
		f.mu.Lock()
		if len(f.queue) == 0 || f.p.ctx.Err() != nil {
			f.active--
			f.mu.Unlock()
			return
		}
		t := f.queue[0]
		f.queue[0] = nil
		f.queue = f.queue[1:]
		f.mu.Unlock()
		if !f.fill(t) {
			f.mu.Lock()
			f.failed = append(f.failed, t)
			f.mu.Unlock()
		}
	}
}

// retry queues again what could not be read.
func (f *filler) retry() {
	f.mu.Lock()
	failed := f.failed
	f.failed = nil
	f.mu.Unlock()
	for _, t := range failed {
		f.add(t)
	}
}

// fill reads until the topic's head reaches its target; false when the log
// could not be read, with t.filling left set.
func (f *filler) fill(t *topic) bool {
	for {
		from, to, ok := t.lacking()
		if !ok {
			return true
		}
		if !f.step(t, from, to) {
			return false
		}
	}
}

// step reads once. It moves the head, or the target down to what the log
// really holds, or reports failure; so a false hint costs two reads.
func (f *filler) step(t *topic, from, to int64) bool {
	f.p.stats.fills.Add(1)
	ctx, cancel := context.WithTimeout(f.p.ctx, readTimeout)
	defer cancel()
	if to-from >= int64(f.p.options.RingEvents) {
		// Too far for the ring to hold: start it anew at the log's head.
		last, err := f.p.log.LastSeq(ctx, t.id)
		if err != nil {
			return f.problem(t, "reading the head failed", err)
		}
		t.settle(last, to)
		return true
	}
	// Twice, since something may be committed between the two reads.
	for range 2 {
		events, _, err := f.p.log.Events(ctx, t.id, from, to, fillLimit)
		switch {
		case err != nil:
			return f.problem(t, "reading the log failed", err)
		case len(events) > 0 && events[0].Seq == from:
			t.take(events)
			return true
		case len(events) > 0:
			return f.problem(t, "the log has a gap", nil)
		}
		last, err := f.p.log.LastSeq(ctx, t.id)
		if err != nil {
			return f.problem(t, "reading the head failed", err)
		}
		if last < from {
			f.p.stats.falseHints.Add(1)
			t.lower(to)
			return true
		}
	}
	return f.problem(t, "the log's head is above its events", nil)
}

func (f *filler) problem(t *topic, what string, err error) bool {
	if f.p.ctx.Err() == nil {
		f.p.logger.Warn("poller: "+what+"; trying again with the next sweep", "conversation", t.id.String(), "error", err)
	}
	return false
}

// lacking is the range that the topic lacks; ok is false, and the filling
// over, when there is none.
func (t *topic) lacking() (from, to int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	head := t.view.Load().head
	if t.dead || t.target <= head {
		t.filling = false
		return 0, 0, false
	}
	return head + 1, t.target, true
}

// take appends events read from the log, as far as they are still the next
// ones, and publishes them together.
func (t *topic) take(events []store.Event) {
	ready := make([]*entry, 0, len(events))
	for i := range events {
		if e := &events[i]; e.Seq > t.view.Load().head {
			ready = append(ready, encode(e, t.epoch))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	head := t.view.Load().head
	for _, e := range ready {
		if !t.dead && e.seq == head+1 {
			t.addLocked(e)
			head++
		}
	}
	if head > t.view.Load().head {
		t.publishLocked(head)
		for _, e := range ready {
			t.endedLocked(e)
		}
	}
}

// settle starts the ring anew at a head just read from the log, when target
// was too far ahead of it.
func (t *topic) settle(last, target int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return
	}
	if t.target == target {
		t.target = last
	}
	if last > t.view.Load().head {
		t.forgetLocked()
		t.publishLocked(last)
		t.p.waiters.release() // whose removal was passed over is not known
	}
	t.target = max(t.target, t.view.Load().head)
}

// lower takes back a target that the log does not bear out, unless it has been
// raised since.
func (t *topic) lower(target int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.target == target {
		head := t.view.Load().head
		t.target, t.known = head, min(t.known, head)
	}
}
