package poller

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdline/store"
)

// topics are the conversations followed here: those with readers, and for a
// while those that had some.
type topics struct {
	p         *Poller
	ringBytes atomic.Int64 // held by all rings

	mu    sync.RWMutex
	epoch string
	byID  map[store.ID]*topic
	// idle is the list of topics without readers, longest idle first.
	idleFirst, idleLast *topic
	idleCount           int
}

func (ts *topics) init(p *Poller) {
	ts.p = p
	ts.byID = make(map[store.ID]*topic)
}

func (ts *topics) currentEpoch() string {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	return ts.epoch
}

// feed hands each event to its topic, if there is one.
func (ts *topics) feed(events []store.Event) {
	var found *topic
	for i := range events {
		e := &events[i]
		if found == nil || found.id != e.ConversationID {
			ts.mu.RLock()
			found = ts.byID[e.ConversationID]
			ts.mu.RUnlock()
			if found == nil {
				if !ts.p.inboxes.wanted(e.ConversationID) {
					continue
				}
				found = ts.follow(e)
			}
		}
		found.feed(e)
	}
}

// follow makes the topic of a conversation that only inboxes follow, just
// before the event that is about to be fed.
func (ts *topics) follow(e *store.Event) *topic {
	t := ts.attach(e.ConversationID)
	t.establish(e.Seq - 1)
	ts.detach(t)
	return t
}

// placeAt returns the last seq of a conversation with a stamp up to one that is
// closed, if the ring tells: it lags behind the log, so it knows only when it
// holds an event with a stamp above.
func (ts *topics) placeAt(id store.ID, stamp int64) (seq int64, ok bool) {
	ts.mu.RLock()
	t := ts.byID[id]
	ts.mu.RUnlock()
	if t == nil {
		return 0, false
	}
	v := t.view.Load()
	if n := len(v.entries); n == 0 || v.entries[n-1].stamp <= stamp {
		return 0, false
	}
	for _, e := range slices.Backward(v.entries) {
		if e.stamp <= stamp {
			return e.seq, true
		}
	}
	return 0, v.first() == 1
}

// hint passes on how far conversations have got.
func (ts *topics) hint(heads []store.Head, certain bool) {
	for _, h := range heads {
		ts.mu.RLock()
		t := ts.byID[h.ConversationID]
		ts.mu.RUnlock()
		if t != nil {
			t.hint(h.LastSeq, certain)
		}
	}
}

// attach adds a reader to a conversation's topic, made if need be.
func (ts *topics) attach(id store.ID) *topic {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.byID[id]
	if t == nil {
		t = newTopic(ts.p, id, ts.epoch)
		ts.byID[id] = t
	} else if t.readers == 0 {
		ts.unlink(t)
	}
	t.readers++
	return t
}

// detach takes a reader away. A topic without readers is followed for a while
// longer, since readers that poll come back.
func (ts *topics) detach(t *topic) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.readers--
	if t.readers > 0 || ts.byID[t.id] != t {
		return
	}
	if t.view.Load().head < 0 {
		// Nobody who asked for it may read it: strangers crowd out nobody.
		delete(ts.byID, t.id)
		t.kill()
		return
	}
	t.idleSince = time.Now()
	ts.link(t)
	if ts.idleCount > ts.p.options.MaxIdleTopics {
		ts.evict(ts.idleFirst)
	}
}

// tidy gives up topics that have had no reader for a while, and frees rings
// when all together hold too much: first those where nothing happens, then all.
func (ts *topics) tidy() {
	ts.mu.Lock()
	for t := ts.idleFirst; t != nil && time.Since(t.idleSince) >= ts.p.options.TopicIdle; t = ts.idleFirst {
		ts.evict(t)
	}
	ts.mu.Unlock()

	limit := ts.p.options.TotalRingBytes
	if ts.ringBytes.Load() <= limit*3/4 {
		return
	}
	quiet := ts.p.now() - int64(10*time.Second)
	for _, quietOnly := range []bool{true, false} {
		ts.mu.RLock()
		for _, t := range ts.byID {
			if ts.ringBytes.Load() <= limit/2 {
				break
			}
			t.mu.Lock()
			if !quietOnly || t.fedAt < quiet {
				t.forgetLocked()
			}
			t.mu.Unlock()
		}
		ts.mu.RUnlock()
	}
}

// renew starts over under a new epoch; whoever reads of the old one is reset.
func (ts *topics) renew(epoch string) {
	ts.mu.Lock()
	old := ts.byID
	ts.epoch = epoch
	ts.byID = make(map[store.ID]*topic)
	ts.idleFirst, ts.idleLast, ts.idleCount = nil, nil, 0
	ts.mu.Unlock()
	for _, t := range old {
		t.kill()
	}
}

// evict, link and unlink keep byID and the idle list; mu is held.
func (ts *topics) evict(t *topic) {
	ts.unlink(t)
	delete(ts.byID, t.id)
	t.kill()
}

func (ts *topics) link(t *topic) {
	t.prev, t.next = ts.idleLast, nil
	if ts.idleLast != nil {
		ts.idleLast.next = t
	} else {
		ts.idleFirst = t
	}
	ts.idleLast = t
	ts.idleCount++
}

func (ts *topics) unlink(t *topic) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		ts.idleFirst = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		ts.idleLast = t.prev
	}
	t.prev, t.next = nil, nil
	ts.idleCount--
}
