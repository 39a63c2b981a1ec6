package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// InboxResult is how soon somebody who follows all their conversations over
// one stream has what was accepted, and how large their cursor is meanwhile.
type InboxResult struct {
	PerSecond     float64      `json:"per_second"`    // asked for
	Conversations int          `json:"conversations"` // the follower is in
	Moving        int          `json:"moving"`        // of them, those that are sent to
	Rounds        []InboxRound `json:"rounds"`
	P50           float64      `json:"median_p50_ms"` // over the rounds
	P99           float64      `json:"median_p99_ms"`
	// CursorMedian and CursorMax are characters, of the cursors behind all
	// events of all rounds.
	CursorMedian int `json:"cursor_median"`
	CursorMax    int `json:"cursor_max"`
}

// InboxRound is one run at the paced rate. Inbox is the follower's stream;
// Plain is that of readers of one conversation each, of some of those that
// move, in the same seconds.
type InboxRound struct {
	Inbox ReceiveRound `json:"inbox"`
	Plain ReceiveRound `json:"plain"`
}

// plainNeighbours is how many of the moving conversations have a reader of
// their own beside the inbox.
const plainNeighbours = 16

// follower is the user in many conversations.
type follower struct {
	person
	conversations []string
}

// follower makes a user in n conversations, with w.users as the others.
func (w *world) follower(ctx context.Context, name string, n int) (*follower, error) {
	people, err := w.people(ctx, name, 1)
	if err != nil {
		return nil, err
	}
	groups := make([]group, n)
	members := []string{people[0].handle}
	for _, u := range w.users {
		members = append(members, u.handle)
	}
	for i := range groups {
		groups[i] = group{creator: w.users[i%len(w.users)], members: members}
	}
	ids, err := w.makeGroups(ctx, groups)
	return &follower{person: people[0], conversations: ids}, err
}

func measureInbox(ctx context.Context, o *Options, w *world) (_ *InboxResult, err error) {
	if err := needDescriptors(uint64(o.InboxMoving) + spareDescriptors); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	f, err := w.follower(ctx, "follower", o.InboxConversations)
	if err != nil {
		return nil, err
	}
	r := &InboxResult{PerSecond: o.InboxRate, Conversations: o.InboxConversations, Moving: min(o.InboxMoving, o.InboxConversations)}
	var cursors []int
	err = w.alone(ctx, MeasureInbox, func(server *child) (err error) {
		moving := spread(f.conversations, r.Moving)
		senders, err := openSenders(server.addr, len(moving), w.users, w.text)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeSenders(senders)) }()
		in := &inboxLines{}
		for i, conversation := range moving {
			in.lines = append(in.lines, &line{conversation: conversation, sender: senders[i], lastSeq: 1})
		}
		var plain []*line
		for i, conversation := range moving[:min(plainNeighbours, len(moving))] {
			reader := w.users[(i+1)%len(w.users)] // somebody else than the sender
			s, err := openStream(server.addr, streamRequest(server.addr, conversation, reader.token, 1), 4096)
			if err != nil {
				return fmt.Errorf("inbox: %w", err)
			}
			defer func() { _ = s.Close() }() // a reader that leaves
			plain = append(plain, &line{conversation: conversation, reader: s, lastSeq: 1})
		}
		cursor, err := firstCursor(ctx, server.addr, f.account)
		if err != nil {
			return err
		}
		if in.stream, err = openStream(server.addr, inboxStreamRequest(server.addr, f.token, cursor), 64<<10); err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		defer func() { _ = in.stream.Close() }() // the same
		for n := range o.Rounds {
			round, err := in.round(ctx, plain, o.InboxRate, o.Duration)
			if err != nil {
				return fmt.Errorf("inbox: %w", err)
			}
			r.Rounds = append(r.Rounds, round)
			o.progress("inbox: round %d of %d: %.0f/s, delivery p50 %.2f ms, p99 %.2f ms, to plain streams p99 %.2f ms", n+1, o.Rounds,
				round.Inbox.PerSecond, round.Inbox.Delivery.P50, round.Inbox.Delivery.P99, round.Plain.Delivery.P99)
		}
		cursors = in.cursors
		return nil
	})
	r.P50 = median(r.Rounds, func(r InboxRound) float64 { return r.Inbox.Delivery.P50 })
	r.P99 = median(r.Rounds, func(r InboxRound) float64 { return r.Inbox.Delivery.P99 })
	r.CursorMedian, r.CursorMax = middleAndMost(cursors)
	return r, err
}

// spread picks n of the items, evenly: conversations that were made one after
// the other are not the ones that move.
func spread[T any](items []T, n int) []T {
	picked := make([]T, n)
	for i := range picked {
		picked[i] = items[i*len(items)/n]
	}
	return picked
}

// middleAndMost returns the median (the lower of two) and the largest; zeros for none.
func middleAndMost(values []int) (middle, most int) {
	if len(values) == 0 {
		return 0, 0
	}
	slices.Sort(values)
	return values[(len(values)-1)/2], values[len(values)-1]
}

// inboxLines is the conversations that move and the one stream that has them all.
type inboxLines struct {
	lines   []*line
	stream  *stream
	cursors []int // their lengths
}

// round sends at the rate for d, spread evenly over the lines, and waits until
// every stream has everything.
func (in *inboxLines) round(ctx context.Context, plain []*line, rate float64, d time.Duration) (InboxRound, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	each := max(1, int(rate*d.Seconds())/len(in.lines))
	start := time.Now().Add(10 * time.Millisecond)
	streams := []*stream{in.stream}
	for _, l := range in.lines {
		l.accepted, l.received = make([]arrival, 0, each), make([]arrival, 0, each)
		l.sends, l.late = make(samples, 0, each), make(samples, 0, each)
	}
	for _, l := range plain {
		l.received = make([]arrival, 0, each)
		streams = append(streams, l.reader)
	}
	for _, s := range streams {
		if err := s.w.conn.SetReadDeadline(start.Add(d + ioTimeout)); err != nil {
			return InboxRound{}, err
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, 1+len(plain)+len(in.lines))
	run := func(i int, fn func() error) {
		wg.Go(func() {
			if errs[i] = fn(); errs[i] != nil {
				cancel()
			}
		})
	}
	run(0, func() error { return in.read(each * len(in.lines)) })
	for i, l := range plain {
		run(1+i, func() error { return l.read(each) })
	}
	for i, l := range in.lines {
		p := stagger(start, rate, i, len(in.lines))
		run(1+len(plain)+i, func() error { return l.write(ctx, p, each) })
	}
	// Readers block in the socket: whoever fails ends their wait.
	stop := context.AfterFunc(ctx, func() {
		for _, s := range streams {
			_ = s.w.conn.SetReadDeadline(time.Now()) // they have ended otherwise
		}
	})
	wg.Wait()
	stop()
	if err := firstCause(errs); err != nil {
		return InboxRound{}, err
	}
	var round InboxRound
	var err error
	if round.Inbox, err = sumUp(in.lines, start); err != nil {
		return round, err
	}
	for i, l := range plain {
		l.accepted = in.lines[i].accepted
	}
	round.Plain, err = sumUp(plain, start)
	return round, err
}

// read takes n events from the stream; in each conversation they must be the
// next ones.
func (in *inboxLines) read(n int) error {
	lines := make(map[string]*line, len(in.lines))
	for _, l := range in.lines {
		lines[l.conversation] = l
	}
	var wrong error
	for got := 0; got < n && wrong == nil; {
		err := in.stream.read(func(frame []byte) {
			f, ok := parseInboxFrame(frame)
			if !ok {
				return
			}
			now := time.Now()
			l := lines[string(f.conversation)]
			switch {
			case wrong != nil:
			case f.seq == 1: // the snapshot has shown it already
			case l == nil:
				wrong = fmt.Errorf("an event of conversation %s, which nobody sent to", f.conversation)
			case f.seq != l.lastSeq+1:
				wrong = fmt.Errorf("conversation %s: after event %d came %d", f.conversation, l.lastSeq, f.seq)
			default:
				l.lastSeq = f.seq
				l.received = append(l.received, arrival{f.seq, now})
				in.cursors = append(in.cursors, len(f.cursor))
				got++
			}
		})
		if err != nil {
			return fmt.Errorf("%d of %d messages were delivered to the inbox: %w", got, n, err)
		}
	}
	return wrong
}
