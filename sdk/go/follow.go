package holdline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"
	"time"
)

// Transport is how Follow reads.
type Transport string

const (
	// Auto begins with a stream, polls where something on the way holds streams back, and tries a stream again later.
	Auto Transport = ""
	// Stream reads server-sent events only.
	Stream Transport = "stream"
	// LongPoll asks again and again, each answer held back until there is something.
	LongPoll Transport = "longpoll"
)

// FollowOptions say what to follow, from where, and how. The zero value follows all of the user's conversations from
// now on.
type FollowOptions struct {
	// Conversation is the one to follow; empty for the inbox: all of the user's.
	Conversation string
	// Cursor is where to go on: that of the last Update that was dealt with. Empty to begin.
	Cursor string
	// FromStart begins with the first event that the user may read, instead of with a snapshot of how things are.
	FromStart bool
	// Positions are up to where the application has each conversation, if it keeps that: CompleteTo of its updates.
	// What is below is not given again, and what is missing above is fetched. Without it, the first event of each
	// conversation is taken as it comes.
	Positions map[string]int64

	// Transport is Auto unless told otherwise.
	Transport Transport
	// AckDelivered tells the server what was delivered, once the loop has come back for the next update, at most
	// once a second. A long-poll tells it anyway, by its cursor.
	AckDelivered bool
	// OnState, if set, is called with each change of the connection's state, from the goroutine that follows.
	OnState func(State)

	// Pace says how long to wait after failures.
	Pace Pace
	// FirstHeartbeat is how long a new stream may be silent before Auto polls instead (0: 5 s). The server sends a
	// heartbeat at once.
	FirstHeartbeat time.Duration
	// Idle is how long a stream may be silent afterwards, or the fetching of what is missing may take (0: 40 s). It must be longer
	// than the server's heartbeat_seconds.
	Idle time.Duration
	// PollWait is how long the server holds a poll (0: 25 s; at most 50 s, whole seconds).
	PollWait time.Duration
	// StreamAgain says when Auto tries a stream again after it had to poll (Min 0: a minute, Max 0: an hour).
	StreamAgain Pace
}

// Kind says what an Update is.
type Kind string

// The kinds of updates.
const (
	// KindEvent is an entry of a conversation's log, in Event. Ignore types that you do not know. `hidden` stands for
	// seq to through_seq, and shows nothing.
	KindEvent Kind = "event"
	// KindReceipt is how far a member has got, in Receipt (inbox only).
	KindReceipt Kind = "receipt"
	// KindSnapshot is what to draw a screen from: Snapshot of the inbox, Messages of one conversation. It comes first
	// unless a Cursor was given, and after KindReset.
	KindSnapshot Kind = "snapshot"
	// KindReset says that the database was restored from a backup: forget cursors, positions and what was kept of the
	// logs. Follow begins again by itself, with a snapshot; Problem says why.
	KindReset Kind = "reset"
	// KindMissing says that the events From to To of a conversation cannot be had, and what follows begins after them.
	KindMissing Kind = "missing"
	// KindProgress says that nothing is new: that the conversation is complete to CompleteTo, of Head, or that there
	// is a newer Cursor.
	KindProgress Kind = "progress"
)

// Update is one step of what Follow brings.
type Update struct {
	Kind           Kind
	ConversationID string // empty for what concerns the whole inbox
	Event          Event
	Receipt        InboxReceipt
	Snapshot       *InboxSnapshot
	Messages       *MessagePage
	Problem        *Problem
	From, To       int64

	// CompleteTo is up to which seq the conversation's log has been given without a hole, with this update.
	CompleteTo int64
	// Head is the conversation's last seq as the server told it (KindProgress of one conversation; 0: not told). While
	// it is above CompleteTo, something is on its way.
	Head int64
	// Cursor is where to go on once this update has been dealt with. It may stay the same over several updates of the
	// inbox; with Positions beside it nothing is given twice even so. It is empty as long as only beginning again leaves
	// nothing out: from the snapshot to the last event of the page that came with it. A snapshot beside which there are
	// receipts only, no events, has that page's cursor, and the receipts among its own.
	Cursor string
}

// Phase is what a connection is doing.
type Phase string

// The phases of a connection.
const (
	Connecting Phase = "connecting"
	Live       Phase = "live"
	Waiting    Phase = "waiting" // for the next attempt
)

// State is the state of what Follow does.
type State struct {
	Phase     Phase
	Transport Transport     // Stream or LongPoll
	Err       error         // of Waiting: why; nil if a stream came to its end
	Wait      time.Duration // of Waiting: how long
}

// EndError says that following came to an end that no waiting changes: the user is not a member any more, or the
// session has ended. Code of the Problem tells which: `not_found`, `unauthorized`, or another refusal.
type EndError struct{ Problem *Problem }

func (e *EndError) Error() string { return "holdline: following has ended: " + e.Problem.Detail }
func (e *EndError) Unwrap() error { return e.Problem }

// Follow brings what happens, in order, until ctx ends, the loop is left, or the server ends it:
//
//	for update, err := range client.Follow(ctx, holdline.FollowOptions{}) {
//		if err != nil {
//			return err // the last; a lost connection is none
//		}
//		…
//	}
//
// It is an iterator and no channel or callback, because a loop body that takes its time is the backpressure that
// keeps memory bounded, its end closes the connection, and it needs no lock: all runs in the loop's own goroutine. The
// one error comes last: *EndError, *Problem for options that the server refuses, *MalformedError at what cannot be read
// however often it is asked for, or the context's.
//
// Each range over it begins anew from the options.
func (c *Client) Follow(ctx context.Context, o FollowOptions) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		f := newFollower(c, o, yield)
		err := f.run(ctx)
		if !f.left {
			yield(Update{}, err)
		}
	}
}

// follower is one range over Follow. One goroutine has it.
type follower struct {
	client *Client
	o      FollowOptions
	yield  func(Update, error) bool
	left   bool // the loop was left

	cursor string
	at     positions
	acks   *Acknowledger // nil unless asked for

	transport   Transport // Stream or LongPoll
	live        bool      // something has come on this connection
	failures    int       // connections in a row that brought nothing
	hint        time.Duration
	suspicions  int       // of them, those in a row that may be for the transport's sake
	fallbacks   int       // how often in a row polls worked where a stream had brought nothing
	streamAgain time.Time // when to try one again, by the monotonic clock; zero until a poll has worked
	behind      int64     // the head that the last heartbeat told, if it was above the place
	bad         *MalformedError
	badTimes    int // how often in a row bad came
}

func newFollower(c *Client, o FollowOptions, yield func(Update, error) bool) *follower {
	f := &follower{client: c, o: o, yield: yield, cursor: o.Cursor, at: positions{}, transport: Stream}
	maps.Copy(f.at, o.Positions)
	if seq, ok := seqOf(o.Cursor); ok && o.Conversation != "" {
		f.at.reach(o.Conversation, seq)
	}
	if o.Transport == LongPoll {
		f.transport = LongPoll
	}
	f.o.Pace = o.Pace.orDefault()
	f.o.FirstHeartbeat = orDefault(o.FirstHeartbeat, 5*time.Second)
	f.o.Idle = orDefault(o.Idle, 40*time.Second)
	f.o.PollWait = orDefault(o.PollWait, 25*time.Second)
	f.o.StreamAgain.Min = orDefault(o.StreamAgain.Min, time.Minute)
	f.o.StreamAgain.Max = orDefault(o.StreamAgain.Max, time.Hour)
	f.o.StreamAgain = f.o.StreamAgain.orDefault()
	return f
}

// seqOf reads the seq of a conversation's cursor, SEQ-EPOCH or a bare seq.
func seqOf(cursor string) (int64, bool) {
	digits, _, _ := strings.Cut(cursor, "-")
	seq, err := strconv.ParseInt(digits, 10, 64)
	return seq, err == nil
}

var errLeft = errors.New("holdline: the loop was left")

// run connects until there is nothing more to come, and returns why.
func (f *follower) run(ctx context.Context) error {
	if f.o.Transport != Auto && f.o.Transport != Stream && f.o.Transport != LongPoll {
		return fmt.Errorf("holdline: there is no transport %q", f.o.Transport)
	}
	if f.o.AckDelivered {
		f.acks = f.client.Acknowledger(AckOptions{Pace: f.o.Pace})
		defer f.acks.abandon(ctx)
	}
	for {
		f.live = false
		f.state(State{Phase: Connecting, Transport: f.transport})
		err := f.connect(ctx)
		switch {
		case f.left:
			return errLeft
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errTryStream):
			f.transport, f.streamAgain = Stream, time.Time{}
			continue
		}
		var reset *resetError
		if errors.As(err, &reset) {
			if err = f.reset(reset.problem); err != nil {
				return err
			}
		}
		if end := ending(err); end != nil {
			return end
		}
		if f.failures++; f.live {
			f.failures = 1
		}
		var bad *MalformedError
		if errors.As(err, &bad) {
			if f.failures = f.again(bad); f.failures == malformedTries {
				return bad
			}
		}
		if f.change(err) {
			continue
		}
		wait := f.o.Pace.after(f.failures, f.hint)
		f.state(State{Phase: Waiting, Transport: f.transport, Err: err, Wait: wait})
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// connect reads until the connection is lost, and returns why.
func (f *follower) connect(ctx context.Context) error {
	f.hint, f.behind = 0, 0
	if f.o.Conversation != "" && f.cursor == "" && !f.o.FromStart {
		if err := f.readMessages(ctx); err != nil {
			return err
		}
	}
	if f.transport == LongPoll {
		return f.poll(ctx)
	}
	return f.readStream(ctx)
}

// change goes over to the other transport where it should, and reports whether to do so at once.
func (f *follower) change(err error) bool {
	const tries = 2 // connections in a row that bring nothing, before the other transport has its turn
	var p *Problem
	if f.live || unreachable(err) || errors.As(err, &p) {
		f.suspicions = 0 // that the server is away, or busy, says nothing about how to read
		return false
	}
	f.suspicions++
	if f.o.Transport != Auto || !errors.Is(err, errSilent) && f.suspicions < tries {
		return false
	}
	f.suspicions = 0
	if f.transport == LongPoll {
		f.transport = Stream
		return false
	}
	f.transport = LongPoll
	f.streamAgain = time.Time{}
	return errors.Is(err, errSilent)
}

// pollingWorks is told of each poll that was answered. Where a stream brought nothing before, it sets the time for
// trying one again, which is further away each time.
func (f *follower) pollingWorks() {
	f.failures, f.suspicions = 0, 0
	if f.o.Transport == Auto && f.streamAgain.IsZero() {
		f.fallbacks++
		f.streamAgain = time.Now().Add(f.o.StreamAgain.after(f.fallbacks, 0))
	}
}

// ending is the error that nothing can be done about; nil for all others.
func ending(err error) error {
	var end *EndError
	if errors.As(err, &end) {
		return end
	}
	var p *Problem
	if !errors.As(err, &p) || p.Status >= 500 {
		return nil
	}
	switch p.Status {
	case 408, 410, 429:
		return nil
	case 401, 403, 404:
		return &EndError{Problem: p}
	default:
		return p
	}
}

// resetError says that the cursor is of another life of the database.
type resetError struct{ problem *Problem }

func (e *resetError) Error() string { return e.problem.Error() }

// reset forgets what is void, and tells the application.
func (f *follower) reset(p *Problem) error {
	f.cursor = ""
	clear(f.at)
	return f.emit(Update{Kind: KindReset, ConversationID: f.o.Conversation, Problem: p})
}

// state tells the application how the connection is.
func (f *follower) state(s State) {
	if f.o.OnState != nil {
		f.o.OnState(s)
	}
}

// alive notes that the connection brings something.
func (f *follower) alive() {
	if !f.live {
		f.live = true
		if f.transport == Stream {
			f.fallbacks = 0
		}
		f.state(State{Phase: Live, Transport: f.transport})
	}
}

// emit gives one update to the application; errLeft when it has had enough.
func (f *follower) emit(u Update) error {
	u.Cursor = f.cursor
	if u.ConversationID != "" {
		u.CompleteTo = f.at[u.ConversationID]
	}
	if !f.yield(u, nil) {
		f.left = true
		return errLeft
	}
	return nil
}
