package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"holdline/store"
)

// AcksResult is what readers write who ack every message as read.
type AcksResult struct {
	PerSecond float64     `json:"per_second"` // asked for, over all readers
	Readers   int         `json:"readers"`    // of one conversation
	Rounds    []AcksRound `json:"rounds"`
	// PerReader is the median over the rounds.
	PerReader float64 `json:"median_writes_per_second_and_reader"`
}

// AcksRound is one run at the paced rate. A write is one reader's watermarks
// moved in one transaction; it makes a row for delivered and one for read.
type AcksRound struct {
	PerSecond float64 `json:"per_second"` // acks that were sent, and then answered
	// Latency is from writing the request to its 204, which waits for the
	// commit, and for the reader's second since the last one.
	Latency      Latency `json:"latency"`
	Writes       float64 `json:"writes_per_second"`
	Rows         float64 `json:"rows_per_second"`
	Transactions float64 `json:"transactions_per_second"`
	PerReader    float64 `json:"writes_per_second_and_reader"` // the mean
	Busiest      float64 `json:"writes_per_second_of_the_busiest_reader"`
}

func measureAcks(ctx context.Context, o *Options, w *world) (*AcksResult, error) {
	// An ack may wait a second for its write, and the next ones do not wait for it.
	if err := needDescriptors(uint64(2*o.AckRate) + spareDescriptors); err != nil {
		return nil, fmt.Errorf("acks: %w", err)
	}
	people, err := w.people(ctx, "ack", o.AckReaders)
	if err != nil {
		return nil, err
	}
	blocks, err := w.blocks(ctx, people, len(people), 1)
	if err != nil {
		return nil, err
	}
	conversation := blocks[0][0]
	r := &AcksResult{PerSecond: o.AckRate, Readers: len(people)}
	windows := make([]window, o.Rounds)
	err = w.alone(ctx, MeasureAcks, func(server *child) (err error) {
		senders, err := openSenders(server.addr, 1, w.users, w.text)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeSenders(senders)) }()
		for n := range o.Rounds {
			a := newAckers(server.addr, conversation, people)
			round, err := a.round(ctx, senders[0], o.AckRate, wholeSeconds(o.Duration))
			a.close()
			if err != nil {
				return fmt.Errorf("acks: %w", err)
			}
			windows[n] = a.window
			r.Rounds = append(r.Rounds, round)
			o.progress("acks: round %d of %d: %.0f/s, p50 %.0f ms, p99 %.0f ms", n+1, o.Rounds, round.PerSecond, round.Latency.P50, round.Latency.P99)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err := w.receiptsIn(ctx, conversation)
	if err != nil {
		return nil, fmt.Errorf("acks: %w", err)
	}
	for i := range r.Rounds {
		r.Rounds[i].countWrites(rows, windows[i], len(people))
	}
	r.PerReader = median(r.Rounds, func(r AcksRound) float64 { return r.PerReader })
	return r, nil
}

// wholeSeconds rounds up: of a reader who writes once a second, a window of
// whole seconds holds as many writes as it has seconds, wherever it begins.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// window is the part of a round that counts.
type window struct{ begin, end time.Time }

func (w window) holds(t time.Time) bool { return !t.Before(w.begin) && t.Before(w.end) }

// ackers ack every message of a conversation, each over as many connections as
// they have acks under way.
type ackers struct {
	addr, conversation string
	people             []person
	window             window

	mu    sync.Mutex
	idle  [][]*wire // of each reader
	times samples
	errs  []error
}

func newAckers(addr, conversation string, people []person) *ackers {
	return &ackers{addr: addr, conversation: conversation, people: people, idle: make([][]*wire, len(people))}
}

func (a *ackers) close() {
	for _, wires := range a.idle {
		for _, w := range wires {
			_ = w.Close() // every answer has been read
		}
	}
}

// round sends messages, and lets every reader ack each of them as soon as it
// is accepted: rate acks a second for d, after a warm-up of a fifth of that.
func (a *ackers) round(ctx context.Context, s *sender, rate float64, d time.Duration) (AcksRound, error) {
	start := time.Now()
	a.window = window{start.Add(d / 5), start.Add(d/5 + d)}
	p := stagger(start, rate/float64(len(a.people)), 0, 1)
	var wg sync.WaitGroup
	var err error
	for i := 0; err == nil && p.due(i).Before(a.window.end); i++ {
		if _, err = p.wait(ctx, i); err != nil {
			break
		}
		var body []byte
		if body, err = s.send(a.conversation); err != nil {
			break
		}
		var seq int64
		if seq, err = bodySeq(body); err != nil {
			break
		}
		for reader := range a.people {
			wg.Go(func() { a.ack(reader, seq) })
		}
	}
	wg.Wait()
	if err := errors.Join(err, firstCause(a.errs)); err != nil {
		return AcksRound{}, err
	}
	return AcksRound{PerSecond: float64(len(a.times)) / d.Seconds(), Latency: a.times.latency()}, nil
}

func (a *ackers) ack(reader int, seq int64) {
	begun := time.Now()
	err := a.post(reader, seq)
	done := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.errs = append(a.errs, err)
	}
	if a.window.holds(begun) {
		a.times = append(a.times, done.Sub(begun))
	}
}

// post acks by a connection that has nothing under way.
func (a *ackers) post(reader int, seq int64) (err error) {
	a.mu.Lock()
	var w *wire
	if n := len(a.idle[reader]); n > 0 {
		w, a.idle[reader] = a.idle[reader][n-1], a.idle[reader][:n-1]
	}
	a.mu.Unlock()
	if w == nil {
		if w, err = dial(a.addr, 512); err != nil {
			return err
		}
	}
	body := fmt.Sprintf(`{"read":{"%s":%d}}`, a.conversation, seq)
	status, answer, err := w.do(fmt.Appendf(nil, "POST /v1/acks HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", a.addr, a.people[reader].token, len(body), body))
	if err == nil && status != 204 {
		err = fmt.Errorf("an ack answered %d, not 204: %s", status, answer)
	}
	if err != nil {
		return errors.Join(err, w.Close())
	}
	a.mu.Lock()
	a.idle[reader] = append(a.idle[reader], w)
	a.mu.Unlock()
	return nil
}

// receiptRow is one durable move of a watermark.
type receiptRow struct {
	UserID store.ID     `db:"user_id"`
	At     store.Millis `db:"at"`
}

// receiptsIn reads the receipts of a conversation from the database itself.
func (w *world) receiptsIn(ctx context.Context, conversation string) (rows []receiptRow, err error) {
	id, ok := store.ParseID(conversation)
	if !ok {
		return nil, fmt.Errorf("%q is not a conversation's id", conversation)
	}
	err = w.scratch.with(ctx, func(b store.Backend) error {
		return b.Read(ctx, func(tx *store.Tx) error {
			return tx.Select(&rows, `SELECT user_id, at FROM receipts WHERE conversation_id = ?`, id)
		})
	})
	return rows, err
}

// countWrites counts what the rows show to have been written in the window.
// Rows of one transaction have one time, and one reader's transactions are far
// apart.
func (r *AcksRound) countWrites(rows []receiptRow, in window, readers int) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(row receiptRow) bool { return !in.holds(row.At.Time()) })
	writes := make(map[receiptRow]struct{})
	transactions := make(map[store.Millis]struct{})
	of := make(map[store.ID]int)
	for _, row := range rows {
		transactions[row.At] = struct{}{}
		if _, ok := writes[row]; !ok {
			writes[row] = struct{}{}
			of[row.UserID]++
		}
	}
	busiest := 0
	for _, n := range of {
		busiest = max(busiest, n)
	}
	seconds := in.end.Sub(in.begin).Seconds()
	r.Rows = float64(len(rows)) / seconds
	r.Writes = float64(len(writes)) / seconds
	r.Transactions = float64(len(transactions)) / seconds
	r.PerReader = r.Writes / float64(readers)
	r.Busiest = float64(busiest) / seconds
}
