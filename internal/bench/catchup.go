package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CatchUpResult is what it takes to come back to an inbox after an absence.
type CatchUpResult struct {
	Conversations int          `json:"conversations"`     // the user is in
	Each          int          `json:"messages_each"`     // in those that moved
	Runs          []CatchUpRun `json:"runs"`              // one for each number of conversations that moved
	Background    Counts       `json:"background_counts"` // what the server does by itself, while it is counted for BackgroundSeconds
	// BackgroundSeconds is how long that was counted.
	BackgroundSeconds float64 `json:"background_seconds"`
}

// CatchUpRun is the catch-up after so many conversations moved.
type CatchUpRun struct {
	Moved    int            `json:"moved"`
	Requests int            `json:"requests"` // pages of 100 events
	Counts   Counts         `json:"counts"`   // of the database, for all pages, on a server just started
	Rounds   []CatchUpRound `json:"rounds"`
	// Medians over the rounds.
	ColdFirst float64 `json:"median_cold_first_ms"`
	ColdAll   float64 `json:"median_cold_all_ms"`
	WarmFirst float64 `json:"median_warm_first_ms"`
	WarmAll   float64 `json:"median_warm_all_ms"`
	// Ratio is the warm first page's time over that of a page of one
	// conversation's events, on the same connection.
	Ratio float64 `json:"median_ratio"`
}

// CatchUpRound is one catch-up of each kind. Cold is on a server just started,
// which has to read everything from the database; Warm is by the same cursor
// again.
type CatchUpRound struct {
	Cold PagesTime `json:"cold"`
	Warm PagesTime `json:"warm"`
	// Plain is the median of asking for one conversation's events.
	Plain float64 `json:"plain_ms"`
}

// PagesTime is how long the answers took, in milliseconds: from writing the
// request to having read the answer. All is the sum.
type PagesTime struct {
	First float64 `json:"first_ms"`
	All   float64 `json:"all_ms"`
}

const (
	catchUpEach = 3 // messages in each conversation that moved
	plainPages  = 21
)

func measureCatchUp(ctx context.Context, o *Options, w *world) (*CatchUpResult, error) {
	r := &CatchUpResult{Conversations: o.InboxConversations, Each: catchUpEach}
	for n, moved := range o.CatchUpMoved {
		if moved < 1 || moved > o.InboxConversations {
			return nil, fmt.Errorf("catchup: %d of %d conversations cannot move", moved, o.InboxConversations)
		}
		f, err := w.follower(ctx, fmt.Sprintf("absent-%d", n), o.InboxConversations)
		if err != nil {
			return nil, err
		}
		away := &absentee{follower: f, moved: spread(f.conversations, moved)}
		if err := w.alone(ctx, "setup", func(server *child) error { return away.leave(ctx, server, w) }); err != nil {
			return nil, fmt.Errorf("catchup: %w", err)
		}
		run := CatchUpRun{Moved: moved}
		for n := range o.Rounds {
			var round CatchUpRound
			if err := w.alone(ctx, MeasureCatchUp, func(server *child) (err error) {
				round, run.Requests, err = away.round(ctx, server, w.users[0])
				return err
			}); err != nil {
				return nil, fmt.Errorf("catchup: %w", err)
			}
			run.Rounds = append(run.Rounds, round)
			o.progress("catchup: %d moved, round %d of %d: %d pages in %.1f ms (the first in %.1f ms), again in %.1f ms",
				moved, n+1, o.Rounds, run.Requests, round.Cold.All, round.Cold.First, round.Warm.All)
		}
		if err := w.counted(ctx, func(server *child, counts func() (Counts, error)) (err error) {
			if n == 0 {
				r.Background, r.BackgroundSeconds, err = w.countIdle(ctx, counts)
			}
			if err == nil {
				run.Counts, err = away.count(server, counts)
			}
			return err
		}); err != nil {
			return nil, fmt.Errorf("catchup: %w", err)
		}
		run.sumUp()
		r.Runs = append(r.Runs, run)
	}
	return r, nil
}

func (r *CatchUpRun) sumUp() {
	r.ColdFirst = median(r.Rounds, func(r CatchUpRound) float64 { return r.Cold.First })
	r.ColdAll = median(r.Rounds, func(r CatchUpRound) float64 { return r.Cold.All })
	r.WarmFirst = median(r.Rounds, func(r CatchUpRound) float64 { return r.Warm.First })
	r.WarmAll = median(r.Rounds, func(r CatchUpRound) float64 { return r.Warm.All })
	r.Ratio = median(r.Rounds, func(r CatchUpRound) float64 { return r.Warm.First / r.Plain })
}

// absentee is a follower who was away while some of the conversations moved.
type absentee struct {
	*follower
	moved  []string
	cursor string
}

// leave takes the cursor and lets the others send.
func (a *absentee) leave(ctx context.Context, server *child, w *world) (err error) {
	if err := w.quiet(ctx); err != nil {
		return err
	}
	if a.cursor, err = firstCursor(ctx, server.addr, a.account); err != nil {
		return err
	}
	if err := sendEach(ctx, server.addr, w, a.moved, catchUpEach); err != nil {
		return err
	}
	return w.quiet(ctx)
}

// quiet waits until what was written before is behind all servers.
func (w *world) quiet(ctx context.Context) error {
	_, err := pace{start: time.Now().Add(w.o.Away)}.wait(ctx, 0)
	return err
}

// sendEach sends n messages to each conversation, one after the other.
func sendEach(ctx context.Context, addr string, w *world, conversations []string, n int) (err error) {
	senders, err := openSenders(addr, 1, w.users, w.text)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSenders(senders)) }()
	for range n {
		for _, c := range conversations {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := senders[0].send(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *absentee) round(ctx context.Context, server *child, somebody account) (round CatchUpRound, requests int, err error) {
	if err := wakeServer(ctx, server, somebody); err != nil {
		return round, 0, err
	}
	w, err := dial(server.addr, 64<<10)
	if err != nil {
		return round, 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if round.Cold, requests, err = a.comeBack(w, server.addr); err != nil {
		return round, 0, err
	}
	if round.Warm, _, err = a.comeBack(w, server.addr); err != nil {
		return round, 0, err
	}
	var plain samples
	request := eventsRequest(server.addr, a.token, a.moved[0], 1)
	for range plainPages {
		begun := time.Now()
		p, err := page(w, request)
		if err != nil {
			return round, 0, err
		}
		plain = append(plain, time.Since(begun))
		if len(p.Events) != catchUpEach {
			return round, 0, fmt.Errorf("a page of one conversation has %d events, not %d", len(p.Events), catchUpEach)
		}
	}
	round.Plain = plain.latency().P50
	return round, requests, nil
}

// wakeServer makes a new server open what every request needs.
func wakeServer(ctx context.Context, server *child, somebody account) error {
	var out struct{}
	return call(ctx, server.addr, "GET", "/v1/me", somebody.token, nil, &out)
}

// comeBack asks for page after page, and checks that they hold what was missed.
func (a *absentee) comeBack(w *wire, addr string) (t PagesTime, requests int, err error) {
	missed := newMissed(a.moved, catchUpEach)
	for cursor, more := a.cursor, true; more; {
		request := inboxRequest(addr, a.token, cursor, 0)
		begun := time.Now()
		status, body, err := w.do(request)
		took := millis(time.Since(begun))
		if err != nil {
			return t, requests, err
		}
		if status != 200 {
			return t, requests, fmt.Errorf("a page of the inbox answered %d: %s", status, body)
		}
		p, err := parsePage(body)
		if err == nil {
			err = missed.take(&p)
		}
		if err != nil {
			return t, requests, err
		}
		if requests++; requests == 1 {
			t.First = took
		}
		t.All += took
		cursor, more = p.Cursor, p.More
	}
	return t, requests, missed.done()
}

// missed is what a reader has yet to be given: in each conversation the seqs
// behind the first one, in order.
type missed struct {
	next map[string]int64
	last int64
	left int
}

func newMissed(conversations []string, each int) *missed {
	m := &missed{next: make(map[string]int64, len(conversations)), last: int64(each) + 1, left: each * len(conversations)}
	for _, c := range conversations {
		m.next[c] = 2
	}
	return m
}

func (m *missed) take(p *inboxPage) error {
	for _, e := range p.Events {
		if next := m.next[e.ConversationID]; next == 0 || e.Seq != next || e.Seq > m.last {
			return fmt.Errorf("conversation %s: the inbox gave event %d, %d was next", e.ConversationID, e.Seq, next)
		}
		m.next[e.ConversationID]++
		m.left--
	}
	return nil
}

func (m *missed) done() error {
	if m.left != 0 {
		return fmt.Errorf("the inbox ended with %d events missing", m.left)
	}
	return nil
}

// counted runs fn beside a server that counts what it asks of the database.
func (w *world) counted(ctx context.Context, fn func(server *child, counts func() (Counts, error)) error) error {
	return w.withSocket(ctx, "--counts", func(server *child, socket string) error {
		if err := wakeServer(ctx, server, w.users[0]); err != nil {
			return err
		}
		return fn(server, func() (Counts, error) { return readCounts(ctx, socket) })
	})
}

// countIdle counts what a server does that nobody asks anything.
func (w *world) countIdle(ctx context.Context, counts func() (Counts, error)) (Counts, float64, error) {
	begun := time.Now()
	before, err := counts()
	if err != nil {
		return Counts{}, 0, err
	}
	if err := w.quiet(ctx); err != nil {
		return Counts{}, 0, err
	}
	after, err := counts()
	return after.minus(before), time.Since(begun).Seconds(), err
}

// count counts what one catch-up takes.
func (a *absentee) count(server *child, counts func() (Counts, error)) (n Counts, err error) {
	w, err := dial(server.addr, 64<<10)
	if err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	before, err := counts()
	if err != nil {
		return n, err
	}
	if _, _, err := a.comeBack(w, server.addr); err != nil {
		return n, err
	}
	after, err := counts()
	return after.minus(before), err
}
