package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// written is what a receiptWriter wrote, and when.
type written struct {
	mu      sync.Mutex
	start   time.Time
	batches []map[ID]map[ID]move
	at      []time.Duration
	fail    []error       // for the writes to come
	takes   time.Duration // how long a commit is
}

func (r *written) write(batch []*userMoves) error {
	<-time.After(r.takes)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.fail) > 0 {
		err := r.fail[0]
		if r.fail = r.fail[1:]; err != nil {
			if err.Error() == "panic" {
				panic(err)
			}
			return err
		}
	}
	one := make(map[ID]map[ID]move)
	for _, u := range batch {
		one[u.user] = u.moves
	}
	r.batches = append(r.batches, one)
	r.at = append(r.at, time.Since(r.start))
	return nil
}

// seen is what has been written so far, by user and conversation.
func (r *written) seen() []map[ID]map[ID]move {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.batches)
}

// times is when, since the start.
func (r *written) times() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

// pass lets so much of the bubble's time go by, and what then happens happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// bubble runs fn with a writer in a bubble of its own time.
func bubble(t *testing.T, fn func(t *testing.T, w *receiptWriter, r *written)) {
	synctest.Test(t, func(t *testing.T) {
		r := &written{start: time.Now()}
		w := startReceiptWriter(r.write, slog.New(slog.DiscardHandler))
		fn(t, w, r)
		w.close()
	})
}

func ackOne(w *receiptWriter, user ID, seq int64) error {
	return w.ack(context.Background(), user, map[ID]move{1: {delivered: seq, read: seq}})
}

func TestReceiptsAreWrittenAtOnceThenOnceASecond(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		for seq := int64(1); seq <= 3; seq++ {
			if err := ackOne(w, 7, seq); err != nil {
				t.Fatal(err)
			}
		}
		if want := []time.Duration{0, time.Second, 2 * time.Second}; !slices.Equal(r.times(), want) {
			t.Errorf("written at %v, want %v", r.times(), want)
		}
	})
}

func TestReceiptsOfOneUserShareAWrite(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		if err := ackOne(w, 7, 1); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for seq := int64(2); seq <= 9; seq++ {
			all.Go(func() {
				if err := ackOne(w, 7, seq); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(r.seen()) != 2 || r.seen()[1][7][1] != (move{delivered: 9, read: 9}) {
			t.Errorf("written %v", r.seen())
		}
	})
}

// While one write is under way all who come share the next, whoever they are.
func TestReceiptsOfManyUsersShareAWrite(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		r.takes = 10 * time.Millisecond
		var all sync.WaitGroup
		all.Go(func() { _ = ackOne(w, 1, 1) })
		synctest.Wait()
		for user := ID(2); user <= 100; user++ {
			all.Go(func() {
				if err := ackOne(w, user, 1); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(r.seen()) != 2 || len(r.seen()[1]) != 99 {
			t.Errorf("%d writes, the second of %d users", len(r.seen()), len(r.seen()[1]))
		}
	})
}

func TestNotedDeliveriesWaitForOneFlush(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		for user := ID(1); user <= 5; user++ {
			for seq := int64(1); seq <= 10; seq++ {
				w.note(user, 1, seq)
				pass(10 * time.Millisecond)
			}
		}
		pass(time.Second)
		if len(r.seen()) != 1 || len(r.seen()[0]) != 5 || r.times()[0] != time.Second {
			t.Fatalf("written %v at %v", r.seen(), r.times())
		}
		if got := r.seen()[0][3][1]; got != (move{delivered: 10, noted: 10}) {
			t.Errorf("noted %+v", got)
		}
	})
}

// An ack does not wait for the flush that a noted delivery waits for; it takes
// the delivery along.
func TestAnAckTakesNotedDeliveriesAlong(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		w.note(7, 1, 5)
		w.note(8, 1, 5)
		if err := ackOne(w, 7, 3); err != nil {
			t.Fatal(err)
		}
		if len(r.seen()) != 1 || r.times()[0] != 0 || r.seen()[0][7][1] != (move{delivered: 5, read: 3, noted: 5}) {
			t.Errorf("written %v at %v", r.seen(), r.times())
		}
		pass(2 * time.Second)
		if len(r.seen()) != 2 || len(r.seen()[1]) != 1 {
			t.Errorf("written afterwards %v", r.seen()[1:])
		}
	})
}

func TestAFailedWriteIsToldAndNotesAreKept(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		gone := Errorf(CodeUnavailable, "gone")
		r.fail = []error{gone, errors.New("panic"), nil}
		w.note(7, 1, 5)
		w.note(7, 2, 6)
		if err := ackOne(w, 7, 3); !errors.Is(err, gone) {
			t.Errorf("the first ack got %v", err)
		}
		if err := w.ack(context.Background(), 7, map[ID]move{3: {delivered: 1, read: 1}}); CodeOf(err) != CodeOutcomeUnknown {
			t.Errorf("the second ack got %v", err)
		}
		pass(3 * time.Second)
		if len(r.seen()) != 1 {
			t.Fatalf("written %v", r.seen())
		}
		// What was acknowledged was answered with an error: only the notes come again.
		moves := r.seen()[0][7]
		if len(moves) != 2 || moves[1] != (move{delivered: 5, noted: 5}) || moves[2] != (move{delivered: 6, noted: 6}) {
			t.Errorf("noted again %v", moves)
		}
	})
}

func TestReceiptMemoryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		for i := range maxPendingMoves + 10 {
			w.note(ID(1+i/100), ID(1+i%100), 1)
		}
		if w.pending != maxPendingMoves {
			t.Errorf("%d moves wait", w.pending)
		}
		if err := ackOne(w, 1_000_000, 1); CodeOf(err) != CodeOverloaded {
			t.Errorf("over the bound: %v", err)
		}
		pass(10 * time.Second)
		if err := ackOne(w, 1_000_000, 1); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if w.pending != 0 || len(w.users) != 0 || len(w.wrote) != 1 || len(w.recent) != 1 {
			t.Errorf("left: %d moves, %d users, %d times, %d times in order", w.pending, len(w.users), len(w.wrote), len(w.recent))
		}
		total := 0
		for _, batch := range r.seen() {
			moves := 0
			for _, m := range batch {
				moves += len(m)
			}
			if moves > maxReceiptBatch {
				t.Errorf("%d moves in one transaction", moves)
			}
			total += moves
		}
		if total != maxPendingMoves+1 {
			t.Errorf("%d moves written", total)
		}
	})
}

func TestClosingWritesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &written{start: time.Now()}
		w := startReceiptWriter(r.write, slog.New(slog.DiscardHandler))
		if err := ackOne(w, 7, 1); err != nil {
			t.Fatal(err)
		}
		w.note(8, 1, 5)
		var all sync.WaitGroup
		all.Go(func() {
			if err := ackOne(w, 7, 2); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		w.close()
		all.Wait()
		if len(r.seen()) != 2 || len(r.seen()[1]) != 2 || r.times()[1] != 0 {
			t.Errorf("written %v at %v", r.seen(), r.times())
		}
		if err := ackOne(w, 7, 3); CodeOf(err) != CodeUnavailable {
			t.Errorf("after the end: %v", err)
		}
		w.note(7, 1, 9)
		w.close() // twice does no harm
	})
}

func TestAnAckThatIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *receiptWriter, r *written) {
		if err := ackOne(w, 7, 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := w.ack(ctx, 7, map[ID]move{1: {delivered: 2, read: 2}}); CodeOf(err) != CodeOutcomeUnknown {
			t.Errorf("got %v", err)
		}
		pass(time.Second)
		if len(r.seen()) != 2 {
			t.Errorf("written %v", r.seen())
		}
	})
}
