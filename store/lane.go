package store

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
)

// maxBatch bounds one transaction; with the longest texts it is 8 MiB.
const maxBatch = 512

var (
	errOverloaded = Errorf(CodeOverloaded, "too many sends are waiting; nothing was stored, try again shortly")
	errClosing    = Errorf(CodeUnavailable, "the server is stopping; nothing was stored, try again shortly")
	errAbandoned  = Errorf(CodeOutcomeUnknown, "the answer was not waited for; repeat with the same client_id to learn the outcome")
)

// pending is a send that waits for its batch.
type pending struct {
	Append
	done chan struct{} // one token when the outcome is set
}

// lane gathers concurrent sends while the previous transaction commits and
// writes them as one (group commit). There is no timer in it: a send that
// finds the lane idle is committed at once. One goroutine, run, owns the
// commits; sends whose conversation another node holds leave for the side.
type lane struct {
	store *Store
	log   *slog.Logger
	side  side

	mu        sync.Mutex
	queue     []*pending // in the order of arrival
	waiting   int        // queued or being committed, here and at the side
	perSender map[ID]int
	closed    bool

	wake    chan struct{} // cap 1: the queue is not empty, or the lane is closed
	pending sync.Pool
}

func newLane(s *Store) *lane {
	l := &lane{store: s, log: s.log, perSender: make(map[ID]int), wake: make(chan struct{}, 1)}
	l.pending.New = func() any { return &pending{done: make(chan struct{}, 1)} }
	l.side.start(l)
	return l
}

// submit queues a send and waits for its outcome.
func (l *lane) submit(ctx context.Context, send Send) (Event, bool, error) {
	p := l.pending.Get().(*pending)
	p.Append = Append{Send: send}
	if err := l.enqueue(p); err != nil {
		l.pending.Put(p)
		return Event{}, false, err
	}
	select {
	case <-p.done:
		e, duplicate, err := p.Event, p.Duplicate, p.Err
		l.pending.Put(p)
		return e, duplicate, err
	case <-ctx.Done():
		return Event{}, false, errAbandoned // p stays with the lane
	}
}

func (l *lane) enqueue(p *pending) error {
	sender := p.Send.Actor.UserID
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosing
	case l.waiting >= l.store.options.MaxQueued, l.perSender[sender] >= l.store.options.MaxQueuedPerSender:
		return errOverloaded
	}
	l.waiting++
	l.perSender[sender]++
	l.queue = append(l.queue, p)
	if len(l.queue) == 1 {
		l.signal()
	}
	return nil
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run commits batches until the lane is closed and empty.
func (l *lane) run() {
	for {
		batch, open := l.take()
		if len(batch) > 0 {
			l.commit(batch)
			continue
		}
		if !open {
			return
		}
		<-l.wake
		// Let senders that are about to queue do so: they share this commit's fsync.
		runtime.Gosched()
	}
}

// take removes the next batch from the queue: all of it, or, when it is longer
// than a batch, one send of each conversation in turn.
func (l *lane) take() (batch []*pending, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) <= maxBatch {
		batch, l.queue = l.queue, nil
		return batch, !l.closed
	}
	batch, l.queue = roundRobin(l.queue, maxBatch)
	return batch, true
}

// roundRobin splits queue into n sends, taken from its conversations in turn,
// and the rest. Both keep the order of arrival within a conversation.
func roundRobin(queue []*pending, n int) (taken, rest []*pending) {
	turn := make(map[ID]int)           // sends of a conversation seen so far
	rounds := make([][]*pending, 0, 8) // by their place in their conversation
	for _, p := range queue {
		round := turn[p.Send.ConversationID]
		turn[p.Send.ConversationID]++
		if round == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[round] = append(rounds[round], p)
	}
	chosen := make(map[*pending]struct{}, n)
	for _, round := range rounds {
		for _, p := range round {
			if len(chosen) == n {
				break
			}
			chosen[p] = struct{}{}
		}
	}
	for _, p := range queue {
		if _, ok := chosen[p]; ok {
			taken = append(taken, p)
		} else {
			rest = append(rest, p)
		}
	}
	return taken, rest
}

// commit writes a batch, sets aside what another node holds, and answers the rest.
func (l *lane) commit(batch []*pending) {
	l.append(batch, false)
	answered := batch[:0:0]
	for _, p := range batch {
		if p.Held {
			l.side.add(p)
		} else {
			answered = append(answered, p)
		}
	}
	l.answer(answered)
}

// append stores a batch and sets each send's outcome, whatever happens inside.
func (l *lane) append(batch []*pending, wait bool) {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("panic while committing a batch", "panic", r, "stack", stack())
			for _, p := range batch {
				p.Held = false
				p.Err = Errorf(CodeOutcomeUnknown, "the server failed while storing; repeat with the same client_id to learn the outcome")
			}
		}
	}()
	l.appendHalving(batch, wait)
}

// appendHalving stores a batch. After an error that nobody foresaw it stores
// the halves, until the culprit stands alone and fails alone.
func (l *lane) appendHalving(batch []*pending, wait bool) {
	items := make([]*Append, len(batch))
	for i, p := range batch {
		p.Err, p.Held, p.Duplicate = nil, false, false
		items[i] = &p.Append
	}
	err := l.store.backend.AppendBatch(items, wait, l.store.feed)
	if err == nil {
		return
	}
	var known *Error
	if errors.As(err, &known) {
		if known.Code == CodeOutcomeUnknown {
			l.log.Warn("a commit's outcome is unknown", "sends", len(batch), "error", err)
		}
		for _, p := range batch {
			p.Err, p.Held = known, false
		}
		return
	}
	if len(batch) == 1 {
		l.log.Error("a send was refused by the database", "conversation", batch[0].Send.ConversationID, "error", err)
		batch[0].Err, batch[0].Held = &Error{Code: CodeInternal, Message: "the message could not be stored", Err: err}, false
		return
	}
	half := len(batch) / 2
	l.appendHalving(batch[:half], wait)
	l.appendHalving(batch[half:], wait)
}

// answer releases the waiters of sends whose outcome is set.
func (l *lane) answer(batch []*pending) {
	if len(batch) == 0 {
		return
	}
	l.mu.Lock()
	l.waiting -= len(batch)
	for _, p := range batch {
		sender := p.Send.Actor.UserID
		if l.perSender[sender]--; l.perSender[sender] <= 0 {
			delete(l.perSender, sender)
		}
	}
	l.mu.Unlock()
	for _, p := range batch {
		p.done <- struct{}{}
	}
}

// close refuses new sends; what is queued is still committed.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
}

// waitSide returns when the side has answered everything; run must have ended.
func (l *lane) waitSide() { l.side.workers.Wait() }

func stack() string {
	buf := make([]byte, 8<<10)
	return string(buf[:runtime.Stack(buf, false)])
}
