package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ReceiveResult is how soon a waiting reader has what was accepted.
type ReceiveResult struct {
	PerSecond     float64        `json:"per_second"` // asked for
	Conversations int            `json:"conversations"`
	Rounds        []ReceiveRound `json:"rounds"`
	P99           float64        `json:"median_p99_ms"` // over the rounds
}

// ReceiveRound is one run at the paced rate.
type ReceiveRound struct {
	PerSecond float64 `json:"per_second"` // reached
	// Delivery is from the moment the sender had read its 201 to the moment the
	// reader had read the frame. Readers are woken before senders are answered
	// or at the same time, so that many are below zero.
	Delivery Latency `json:"delivery"`
	// BeforeAcceptance is the share of frames that came before the 201.
	BeforeAcceptance float64 `json:"before_acceptance"`
	// Send is from writing the request to having read the 201; Late is how far
	// behind its schedule it was written.
	Send Latency `json:"send"`
	Late Latency `json:"late"`
}

// arrival is the moment one side had the event seq.
type arrival struct {
	seq int64
	at  time.Time
}

// line is one conversation of receive: a paced sender and a waiting reader.
type line struct {
	conversation string
	sender       *sender
	reader       *stream
	lastSeq      int64

	accepted, received []arrival
	sends, late        samples
}

func measureReceive(ctx context.Context, o *Options, w *world) (_ *ReceiveResult, err error) {
	conversations, err := w.groups(ctx, o.ReceiveConversations)
	if err != nil {
		return nil, err
	}
	r := &ReceiveResult{PerSecond: o.ReceiveRate, Conversations: len(conversations)}
	err = w.alone(ctx, MeasureReceive, func(server *child) (err error) {
		lines := make([]*line, len(conversations))
		senders, err := openSenders(server.addr, len(conversations), w.users, w.text)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeSenders(senders)) }()
		for i, conversation := range conversations {
			// The reader is somebody else than the sender.
			reader := w.users[(i+1)%len(w.users)]
			s, err := openStream(server.addr, streamRequest(server.addr, conversation, reader.token, 1), 4096)
			if err != nil {
				return fmt.Errorf("receive: %w", err)
			}
			defer func() { _ = s.Close() }() // a reader that leaves
			lines[i] = &line{conversation: conversation, sender: senders[i], reader: s, lastSeq: 1}
		}
		for n := range o.Rounds {
			round, err := receiveRound(ctx, lines, o.ReceiveRate, o.Duration)
			if err != nil {
				return fmt.Errorf("receive: %w", err)
			}
			r.Rounds = append(r.Rounds, round)
			o.progress("receive: round %d of %d: %.0f/s, delivery p50 %.2f ms, p99 %.2f ms, max %.2f ms",
				n+1, o.Rounds, round.PerSecond, round.Delivery.P50, round.Delivery.P99, round.Delivery.Max)
		}
		return nil
	})
	r.P99 = median(r.Rounds, func(r ReceiveRound) float64 { return r.Delivery.P99 })
	return r, err
}

// receiveRound sends at the rate for d, spread evenly over the lines, and waits
// until every reader has everything that its line was sent.
func receiveRound(ctx context.Context, lines []*line, rate float64, d time.Duration) (ReceiveRound, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	each := max(1, int(rate*d.Seconds())/len(lines))
	start := time.Now().Add(10 * time.Millisecond)
	giveUp := start.Add(d + ioTimeout)
	errs := make([]error, 2*len(lines))
	var wg sync.WaitGroup
	for i, l := range lines {
		l.accepted, l.received = make([]arrival, 0, each), make([]arrival, 0, each)
		l.sends, l.late = make(samples, 0, each), make(samples, 0, each)
		if err := l.reader.w.conn.SetReadDeadline(giveUp); err != nil {
			return ReceiveRound{}, err
		}
		p := stagger(start, rate, i, len(lines))
		wg.Go(func() {
			if errs[2*i] = l.read(each); errs[2*i] != nil {
				cancel()
			}
		})
		wg.Go(func() {
			if errs[2*i+1] = l.write(ctx, p, each); errs[2*i+1] != nil {
				cancel()
			}
		})
	}
	// Readers block in the socket: whoever fails ends their wait.
	stop := context.AfterFunc(ctx, func() {
		for _, l := range lines {
			_ = l.reader.w.conn.SetReadDeadline(time.Now()) // they have ended otherwise
		}
	})
	wg.Wait()
	stop()
	if err := firstCause(errs); err != nil {
		return ReceiveRound{}, err
	}
	return sumUp(lines, start)
}

// write posts n messages on schedule.
func (l *line) write(ctx context.Context, p pace, n int) error {
	for i := range n {
		due, err := p.wait(ctx, i)
		if err != nil {
			return err
		}
		begun := time.Now()
		body, err := l.sender.send(l.conversation)
		done := time.Now()
		if err != nil {
			return err
		}
		seq, err := bodySeq(body)
		if err != nil {
			return err
		}
		l.accepted = append(l.accepted, arrival{seq, done})
		l.sends = append(l.sends, done.Sub(begun))
		l.late = append(l.late, begun.Sub(due))
	}
	return nil
}

// read takes n events from the stream, which must be the next ones.
func (l *line) read(n int) error {
	var wrong error
	for len(l.received) < n && wrong == nil {
		err := l.reader.read(func(frame []byte) {
			seq, ok := frameSeq(frame)
			if !ok {
				return
			}
			if wrong == nil && seq != l.lastSeq+1 {
				wrong = fmt.Errorf("conversation %s: after event %d came %d", l.conversation, l.lastSeq, seq)
			}
			l.lastSeq = seq
			l.received = append(l.received, arrival{seq, time.Now()})
		})
		if err != nil {
			return fmt.Errorf("conversation %s: %d of %d messages were delivered: %w", l.conversation, len(l.received), n, err)
		}
	}
	return wrong
}

// sumUp joins what senders and readers saw.
func sumUp(lines []*line, start time.Time) (ReceiveRound, error) {
	var (
		delivery, sends, late samples
		before                int
		end                   = start
	)
	for _, l := range lines {
		for i, a := range l.accepted {
			got := l.received[i]
			if got.seq != a.seq {
				return ReceiveRound{}, fmt.Errorf("conversation %s: event %d was accepted, %d delivered", l.conversation, a.seq, got.seq)
			}
			d := got.at.Sub(a.at)
			if d < 0 {
				before++
			}
			delivery = append(delivery, d)
			if a.at.After(end) {
				end = a.at
			}
		}
		sends = append(sends, l.sends...)
		late = append(late, l.late...)
	}
	return ReceiveRound{
		PerSecond:        float64(len(delivery)) / end.Sub(start).Seconds(),
		Delivery:         delivery.latency(),
		BeforeAcceptance: float64(before) / float64(len(delivery)),
		Send:             sends.latency(),
		Late:             late.latency(),
	}, nil
}
