package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"

	"holdline/store"
)

// HorizonResult is what the inbox's horizon costs a send. It cannot be left
// out, so that its part is measured by itself, and told as a share of the time
// of a batch. The lane writes one batch after the other, so a share of that
// time is one of the rate. The store runs in this process, without HTTP.
type HorizonResult struct {
	Rounds []HorizonRound `json:"rounds"`
	// Without and With are medians, in milliseconds, of the same small
	// transaction without and with the horizon's part, in alternation.
	Without float64 `json:"median_without_ms"`
	With    float64 `json:"median_with_ms"`
	Part    float64 `json:"part_ms"` // the difference
	// Batch is the median over the rounds; Share is Part in it.
	Batch float64 `json:"median_batch_ms"`
	Share float64 `json:"share"`
}

// HorizonRound is the store under full load.
type HorizonRound struct {
	PerSecond float64 `json:"per_second"`
	PerBatch  float64 `json:"sends_per_batch"`
	Batch     float64 `json:"batch_ms"` // the mean time of one
	// Closing is how many milliseconds a second closing the horizon took, beside
	// the sends; most of it is waiting. A database whose stamps close at commit
	// has none.
	Closing float64 `json:"closing_ms_per_second"`
}

// timed is a backend whose batches are timed.
type timed struct {
	store.Backend
	batches, sends   atomic.Int64
	batched, closing atomic.Int64 // nanoseconds
}

// AppendBatch implements store.Backend.
func (t *timed) AppendBatch(items []*store.Append, wait bool, committed func([]store.Event)) error {
	begun := time.Now()
	err := t.Backend.AppendBatch(items, wait, committed)
	t.batched.Add(int64(time.Since(begun)))
	t.batches.Add(1)
	t.sends.Add(int64(len(items)))
	return err
}

// CloseHorizon implements store.Backend.
func (t *timed) CloseHorizon(ctx context.Context) error {
	begun := time.Now()
	err := t.Backend.CloseHorizon(ctx)
	t.closing.Add(int64(time.Since(begun)))
	return err
}

// round sums up what was counted in d.
func (t *timed) round(before [4]int64, d time.Duration) HorizonRound {
	now := t.read()
	batches, sends := float64(now[0]-before[0]), float64(now[1]-before[1])
	return HorizonRound{
		PerSecond: sends / d.Seconds(),
		PerBatch:  sends / batches,
		Batch:     millis(time.Duration(now[2]-before[2])) / batches,
		Closing:   millis(time.Duration(now[3]-before[3])) / d.Seconds(),
	}
}

func (t *timed) read() [4]int64 {
	return [4]int64{t.batches.Load(), t.sends.Load(), t.batched.Load(), t.closing.Load()}
}

// horizonPairs is how many pairs of small transactions are timed.
const horizonPairs = 500

func measureHorizon(ctx context.Context, o *Options, w *world) (*HorizonResult, error) {
	people, err := w.people(ctx, "horizon", o.Users)
	if err != nil {
		return nil, err
	}
	blocks, err := w.blocks(ctx, people, len(people), o.Conversations)
	if err != nil {
		return nil, err
	}
	conversations := make([]store.ID, len(blocks[0]))
	for i, c := range blocks[0] {
		var ok bool
		if conversations[i], ok = store.ParseID(c); !ok {
			return nil, fmt.Errorf("horizon: %q is not a conversation's id", c)
		}
	}
	r := &HorizonResult{}
	err = w.scratch.with(ctx, func(b store.Backend) error {
		// Before the load, which leaves the database busy for a while.
		if err := r.measurePart(ctx, b, w.scratch, conversations[0]); err != nil {
			return fmt.Errorf("horizon: %w", err)
		}
		t := &timed{Backend: keepOpen{b}}
		s, err := store.New(ctx, t, store.Options{})
		if err != nil {
			return err
		}
		for n := range o.Rounds {
			round, err := w.loadStore(ctx, s, t, n, people, conversations)
			if err != nil {
				return errors.Join(fmt.Errorf("horizon: %w", err), s.Close())
			}
			r.Rounds = append(r.Rounds, round)
			o.progress("horizon: round %d of %d: %.0f/s in batches of %.1f, %.2f ms each; the horizon's part %.3f ms",
				n+1, o.Rounds, round.PerSecond, round.PerBatch, round.Batch, r.Part)
		}
		return s.Close()
	})
	r.Batch = median(r.Rounds, func(r HorizonRound) float64 { return r.Batch })
	r.Share = r.Part / r.Batch
	return r, err
}

// keepOpen is a backend that its store does not close.
type keepOpen struct{ store.Backend }

// Close implements store.Backend.
func (keepOpen) Close() error { return nil }

// loadStore sends from as many goroutines as send has connections, as measure
// send does, but below HTTP.
func (w *world) loadStore(ctx context.Context, s *store.Store, t *timed, round int, people []person, conversations []store.ID) (HorizonRound, error) {
	begin := time.Now().Add(w.o.Duration / 5)
	end := begin.Add(w.o.Duration)
	g, ctx := errgroup.WithContext(ctx)
	for i := range w.o.Connections {
		g.Go(func() error {
			order := rand.New(rand.NewPCG(uint64(i), 0)).Perm(len(conversations))
			for n := 0; time.Now().Before(end); n++ {
				if _, _, err := s.Append(ctx, store.Send{
					Actor: people[i%len(people)].actor, ConversationID: conversations[order[n%len(order)]],
					ClientID: fmt.Sprintf("%d-%d-%d", round, i, n), Text: w.text,
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	// A context that ends shows in the senders' errors.
	_, _ = pace{start: begin}.wait(ctx, 0)
	before := t.read()
	_, _ = pace{start: end}.wait(ctx, 0)
	r := t.round(before, w.o.Duration)
	return r, g.Wait()
}

// measurePart times what the horizon adds to a batch's transaction.
func (r *HorizonResult) measurePart(ctx context.Context, b store.Backend, database *scratch, conversation store.ID) error {
	sides := writeSides(ctx, b, conversation)
	if !database.isFile() {
		var done func() error
		var err error
		if sides, done, err = readSides(ctx, database.url, conversation); err != nil {
			return err
		}
		defer func() { _ = done() }() // only read from
	}
	var times [2]samples
	for range horizonPairs {
		for i, run := range sides {
			begun := time.Now()
			if err := run(); err != nil {
				return err
			}
			times[i] = append(times[i], time.Since(begun))
		}
	}
	r.Without, r.With = times[0].latency().P50, times[1].latency().P50
	r.Part = r.With - r.Without
	return nil
}

// writeSides are for SQLite: a durable write of one row, without and with the
// stamp. The stamp's own row is a page more in the commit, which is most of its
// cost; it is also prepared anew each time, which the lane does not do.
func writeSides(ctx context.Context, b store.Backend, conversation store.ID) [2]func() error {
	write := func(more func(tx *store.Tx) error) error {
		return b.Write(ctx, func(tx *store.Tx) error {
			// Something has to change: SQLite does not write a page that is as it was.
			if _, err := tx.Exec(`UPDATE conversations SET last_accepted_at = last_accepted_at + 1 WHERE conversation_id = ?`, conversation); err != nil {
				return err
			}
			return more(tx)
		}, func() {})
	}
	return [2]func() error{
		func() error { return write(func(*store.Tx) error { return nil }) },
		func() error {
			return write(func(tx *store.Tx) error {
				_, err := b.Stamp(tx)
				return err
			})
		},
	}
}

// readSides are for PostgreSQL, where a batch only looks at the horizon: a
// prepared statement, a transaction of its own, without and with the two
// things that the batch's call does for it: the shared lock of h and reading h
// again.
func readSides(ctx context.Context, database string, conversation store.ID) (sides [2]func() error, done func() error, err error) {
	c, err := pq.NewConnector(database)
	if err != nil {
		return sides, nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	const head = `SELECT (SELECT last_seq FROM conversations WHERE conversation_id = $1)`
	var h, seq int64
	if err := db.QueryRowContext(ctx, `SELECT h FROM horizon WHERE id = 1`).Scan(&h); err != nil {
		return sides, nil, errors.Join(err, db.Close())
	}
	without, err := db.PrepareContext(ctx, head)
	if err != nil {
		return sides, nil, errors.Join(err, db.Close())
	}
	with, err := db.PrepareContext(ctx, head+`, pg_try_advisory_xact_lock_shared($2), (SELECT h = $3 FROM horizon WHERE id = 1)`)
	if err != nil {
		return sides, nil, errors.Join(err, db.Close())
	}
	var locked, same bool
	return [2]func() error{
		func() error { return without.QueryRowContext(ctx, conversation).Scan(&seq) },
		// A key of its own: the store's are in another range.
		func() error { return with.QueryRowContext(ctx, conversation, h, h).Scan(&seq, &locked, &same) },
	}, db.Close, nil
}
