package poller

import (
	"context"
	"sync"
	"time"

	"holdline/store"
)

// Hints carries "conversation C has reached seq N" between the nodes that
// share a database. It may lose, delay, repeat and reorder; the sweep makes
// up for that.
type Hints interface {
	// Send tells the other nodes. It is called by one goroutine, outside of
	// any transaction, and not again before it returns.
	Send(ctx context.Context, heads []store.Head) error
	// Receive passes what other nodes send to receive, and calls lost whenever
	// something may have been missed. It returns when ctx ends.
	Receive(ctx context.Context, receive func([]store.Head), lost func())
}

// sendTimeout is how long one hint may take before it is given up.
const sendTimeout = 5 * time.Second

// maxOutbox bounds the conversations that wait to be sent; what does not fit
// is left to the others' sweeps.
const maxOutbox = 4096

// outbox gathers what this node has committed while the hint before it is on
// its way: one hint is under way at a time, and it names a conversation once.
type outbox struct {
	p      *Poller
	hints  Hints
	signal chan struct{}

	mu    sync.Mutex
	heads map[store.ID]int64
}

func newOutbox(p *Poller, h Hints) *outbox {
	return &outbox{p: p, hints: h, signal: make(chan struct{}, 1), heads: make(map[store.ID]int64)}
}

func (o *outbox) add(events []store.Event) {
	dropped := int64(0)
	o.mu.Lock()
	for i := range events {
		e := &events[i]
		seq, known := o.heads[e.ConversationID]
		if !known && len(o.heads) >= maxOutbox {
			dropped++
			continue
		}
		o.heads[e.ConversationID] = max(seq, e.Seq)
	}
	o.mu.Unlock()
	if dropped > 0 {
		o.p.stats.hintsDropped.Add(dropped)
	}
	select {
	case o.signal <- struct{}{}:
	default:
	}
}

func (o *outbox) run() {
	spare := make(map[store.ID]int64)
	var heads []store.Head
	failing := false
	for {
		select {
		case <-o.p.ctx.Done():
			return
		case <-o.signal:
		}
		o.mu.Lock()
		o.heads, spare = spare, o.heads
		o.mu.Unlock()
		heads = heads[:0]
		for id, seq := range spare {
			heads = append(heads, store.Head{ConversationID: id, LastSeq: seq})
		}
		clear(spare)
		if len(heads) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(o.p.ctx, sendTimeout)
		err := o.hints.Send(ctx, heads)
		cancel()
		switch {
		case err == nil:
			o.p.stats.hintsSent.Add(int64(len(heads)))
		case !failing && o.p.ctx.Err() == nil:
			o.p.logger.Warn("poller: sending hints to other nodes failed; they will find out by their sweep", "error", err)
		}
		failing = err != nil
	}
}

func (o *outbox) receive() {
	o.hints.Receive(o.p.ctx, func(heads []store.Head) {
		o.p.stats.hintsReceived.Add(int64(len(heads)))
		o.p.topics.hint(heads, false)
		o.p.inboxes.hint(heads)
	}, o.p.sweeper.now)
}
