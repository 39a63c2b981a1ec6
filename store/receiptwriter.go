package store

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"

	"holdline/internal/planted"
)

const (
	// receiptInterval is how long a user's moves are gathered after their last
	// write, and how long a noted delivery may wait.
	receiptInterval = time.Second
	// maxReceiptBatch bounds one transaction, in moves, so that sends do not wait long behind it.
	maxReceiptBatch = 1000
	// maxPendingMoves bounds what waits in memory.
	maxPendingMoves = 100_000
)

var errAckAbandoned = Errorf(CodeOutcomeUnknown, "the answer was not waited for; the receipts may be stored or not, send them again")

// move is how far one user's watermarks in one conversation are to move.
type move struct {
	delivered int64
	read      int64
	noted     int64 // the part of delivered that nobody waits for
}

func (m move) merge(o move) move {
	if planted.On(planted.ReceiptsGoBack) {
		m.delivered = 0
	}
	return move{max(m.delivered, o.delivered), max(m.read, o.read), max(m.noted, o.noted)}
}

// userMoves is what waits to be written for one user.
type userMoves struct {
	user    ID
	due     time.Time
	index   int // in the heap
	moves   map[ID]move
	waiters []chan error // cap 1 each
}

// receiptWriter makes watermark moves durable. One goroutine, run, owns the
// writes: it takes all users whose moves are due and writes them in one
// transaction (group commit). A user's moves are due at once, but no earlier
// than a second after their last write; noted deliveries wait for the next
// flush, about once a second, together.
type receiptWriter struct {
	write func([]*userMoves) error // one transaction
	log   *slog.Logger

	mu      sync.Mutex
	users   map[ID]*userMoves
	due     dueQueue // the same, by due time
	pending int      // moves in users
	flushAt time.Time
	wrote   map[ID]time.Time // when a user's moves were last written, for a second
	recent  []userTime       // the same, in order
	closed  bool

	wake    chan struct{} // cap 1: something is due earlier than before, or the writer is closed
	stopped chan struct{}
}

type userTime struct {
	user ID
	at   time.Time
}

// newReceiptWriter starts the writer of a Store; close stops it.
func newReceiptWriter(s *Store) *receiptWriter {
	return startReceiptWriter(s.writeReceipts, s.log)
}

func startReceiptWriter(write func([]*userMoves) error, log *slog.Logger) *receiptWriter {
	w := &receiptWriter{
		write: write, log: log, users: make(map[ID]*userMoves), wrote: make(map[ID]time.Time),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	go w.run()
	return w
}

// close writes what waits, answers everybody, and refuses what comes later.
func (w *receiptWriter) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	<-w.stopped
}

func (w *receiptWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// ack queues moves and waits until they are durable.
func (w *receiptWriter) ack(ctx context.Context, user ID, moves map[ID]move) error {
	done := make(chan error, 1)
	if err := w.enqueue(user, moves, done); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errAckAbandoned
	}
}

// note queues a delivery that nobody waits for; over the bound it is forgotten.
func (w *receiptWriter) note(user, conversation ID, seq int64) {
	_ = w.enqueue(user, map[ID]move{conversation: {delivered: seq, noted: seq}}, nil)
}

// enqueue merges moves into what waits for the user; done, if not nil, gets the outcome.
func (w *receiptWriter) enqueue(user ID, moves map[ID]move, done chan error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosing
	}
	if w.pending+len(moves) > maxPendingMoves {
		return Errorf(CodeOverloaded, "too many receipts are waiting; nothing was stored, try again shortly")
	}
	now := time.Now()
	due := w.earliest(user, now)
	if done == nil {
		if !w.flushAt.After(now) {
			w.flushAt = now.Add(receiptInterval)
		}
		due = later(due, w.flushAt)
	}
	u, ok := w.users[user]
	switch {
	case !ok:
		u = &userMoves{user: user, due: due, moves: make(map[ID]move, len(moves))}
		w.users[user] = u
		heap.Push(&w.due, u)
	case due.Before(u.due):
		u.due = due
		heap.Fix(&w.due, u.index)
	}
	before := len(u.moves)
	for id, m := range moves {
		u.moves[id] = u.moves[id].merge(m)
	}
	w.pending += len(u.moves) - before
	if done != nil {
		u.waiters = append(u.waiters, done)
	}
	if u.index == 0 {
		w.signal()
	}
	return nil
}

// earliest is when the user's next write may be.
func (w *receiptWriter) earliest(user ID, now time.Time) time.Time {
	if at, ok := w.wrote[user]; ok {
		return later(now, at.Add(receiptInterval))
	}
	return now
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// run writes what is due until the writer is closed and empty.
func (w *receiptWriter) run() {
	defer close(w.stopped)
	timer := time.NewTimer(receiptInterval)
	defer timer.Stop()
	failing := false
	for {
		batch, next, open := w.take(time.Now())
		if len(batch) > 0 {
			err := w.commit(batch)
			if err != nil && !failing {
				w.log.Warn("writing receipts failed; deliveries are noted again until it works", "error", err)
			}
			failing = err != nil
			continue
		}
		if !open {
			return
		}
		if next.IsZero() {
			<-w.wake
			continue
		}
		timer.Reset(time.Until(next))
		select {
		case <-w.wake:
		case <-timer.C:
		}
	}
}

// take removes the users whose moves are due, up to a batch of moves; once the
// writer is closed all are due. With none it returns when the next ones are.
func (w *receiptWriter) take(now time.Time) (batch []*userMoves, next time.Time, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.recent) > 0 && now.Sub(w.recent[0].at) >= receiptInterval {
		if first := w.recent[0]; w.wrote[first.user].Equal(first.at) {
			delete(w.wrote, first.user)
		}
		w.recent = w.recent[1:]
	}
	moves := 0
	for len(w.due) > 0 && moves < maxReceiptBatch {
		u := w.due[0]
		if u.due.After(now) && !w.closed {
			break
		}
		heap.Pop(&w.due)
		delete(w.users, u.user)
		// From now on: what comes while this batch is being written waits its second too.
		w.wrote[u.user] = now
		w.recent = append(w.recent, userTime{u.user, now})
		moves += len(u.moves)
		batch = append(batch, u)
	}
	w.pending -= moves
	if len(w.due) > 0 {
		next = w.due[0].due
	}
	return batch, next, !w.closed
}

// commit writes a batch and answers its waiters, whatever happens inside.
// Deliveries that were only noted are noted again after a failure.
func (w *receiptWriter) commit(batch []*userMoves) (err error) {
	defer func() {
		if r := recover(); r != nil {
			w.log.Error("panic while writing receipts", "panic", r, "stack", stack())
			err = Errorf(CodeOutcomeUnknown, "the server failed while storing receipts; send them again")
		}
		w.settle(batch, err)
	}()
	return w.write(batch)
}

func (w *receiptWriter) settle(batch []*userMoves, err error) {
	for _, u := range batch {
		for _, done := range u.waiters {
			done <- err
		}
		if err == nil {
			continue
		}
		for id, m := range u.moves {
			if m.noted > 0 {
				w.note(u.user, id, m.noted)
			}
		}
	}
}

// dueQueue is a heap of users, the earliest due first.
type dueQueue []*userMoves

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *dueQueue) Push(x any) {
	u := x.(*userMoves)
	u.index = len(*q)
	*q = append(*q, u)
}

func (q *dueQueue) Pop() any {
	old := *q
	u := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return u
}
