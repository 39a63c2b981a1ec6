package poller

import (
	"context"
	"slices"
	"time"

	"holdline/internal/planted"
	"holdline/store"
)

// Position is where a reader begins, and for whom it reads.
type Position struct {
	Conversation    store.ID
	Viewer, Session store.ID
	After           int64  // the last seq that the viewer has
	Epoch           string // of the cursor that said so; empty for a bare seq
}

// ResetError says that a cursor is ahead of the log or of another epoch, and
// what the viewer can read instead. It unwraps to a store.Error with
// CodeCursorReset.
type ResetError struct {
	FirstSeq, LastSeq int64
}

func (e *ResetError) Error() string { return e.Unwrap().Error() }

// Unwrap returns the coded form.
func (e *ResetError) Unwrap() error {
	return store.Errorf(store.CodeCursorReset, "the cursor is not of this log, which holds seqs %d to %d", e.FirstSeq, e.LastSeq)
}

// Reader is a place in one conversation's log, for one viewer, that can wait.
// One goroutine uses it; Close it in the end.
type Reader struct {
	waiter
	p       *Poller
	topic   *topic
	pos     int64 // the last seq given
	floor   int64 // the head when the reader was opened: certainly in the log
	stretch []store.Interval
	at      int32 // the stretch that pos lies in or before
	// upTo, if not 0, is the stamp up to which events are given; beyond says that
	// one above it has been met.
	upTo   int64
	beyond bool
	// stale: a removal has been met since the stretches were read.
	stale, removed, watched bool

	// Guarded by topic.mu:
	parkRound uint32
	parkedAt  int32
}

// Open begins to read. CodeNotFound for whom was never a member, *ResetError
// for a cursor that is not of this log. A former member's reader gives
// everything up to their removal.
func (p *Poller) Open(ctx context.Context, at Position) (*Reader, error) {
	// Registered first: what is committed from here on reaches the topic, and
	// the membership read below knows everything before.
	r := &Reader{p: p, topic: p.topics.attach(at.Conversation)}
	r.user, r.session, r.slot = at.Viewer, at.Session, -1
	m, err := p.log.Membership(ctx, at.Conversation, at.Viewer)
	if err != nil {
		r.Close()
		return nil, err
	}
	head := m.LastSeq
	if planted.On(planted.FalseReset) {
		if told := r.topic.view.Load().head; told >= 0 {
			head = told
		}
	}
	if planted.On(planted.HintTrusted) && at.After > 0 {
		if told := r.topic.view.Load().head; told >= 0 {
			m.LastSeq = max(told, at.After)
		}
	}
	if planted.On(planted.OffByOneResume) && at.After > 0 && at.After < m.LastSeq {
		at.After++
	}
	r.topic.establish(m.LastSeq)
	r.place(m.Intervals, m.LastSeq, at.After)
	switch {
	case !m.Current() && at.After >= r.end():
		r.removed = true // whatever else is wrong with the cursor, they are out
	case at.After > head, at.Epoch != "" && at.Epoch != r.topic.epoch:
		r.Close()
		return nil, &ResetError{FirstSeq: m.FirstSeq(), LastSeq: r.bound(m.LastSeq)}
	}
	return r, nil
}

// openKnown is Open for a membership and a head that are known to hold.
func (p *Poller) openKnown(conversation, viewer store.ID, intervals []store.Interval, head, after int64) *Reader {
	r := &Reader{p: p, topic: p.topics.attach(conversation)}
	r.user, r.slot = viewer, -1
	r.topic.establish(head)
	r.place(intervals, head, after)
	if end := r.end(); end != 0 && after >= end {
		r.removed = true
	}
	r.back()
	return r
}

// place sets where the reader begins.
func (r *Reader) place(intervals []store.Interval, head, after int64) {
	r.floor, r.stretch = head, intervals
	r.pos = max(after, intervals[0].FromSeq-1)
	for int(r.at) < len(r.stretch)-1 && r.stretch[r.at].ToSeq != 0 && r.pos >= r.stretch[r.at+1].FromSeq-1 {
		r.at++
	}
}

// back takes the place back to the end of the stretch that it lies behind: an
// inbox knows it by a stamp, and its viewer has seen nothing since that end.
func (r *Reader) back() {
	if end := r.stretch[r.at].ToSeq; end != 0 {
		r.pos = min(r.pos, end)
	}
}

// Close gives the reader up. Nothing wakes it any more.
func (r *Reader) Close() {
	if r.watched {
		r.topic.unpark(r)
		r.p.waiters.remove(&r.waiter)
		r.p.wheel.remove(&r.waiter)
		r.watched = false
	}
	r.p.topics.detach(r.topic)
}

// Watch makes the reader one that waits: from now on the end of its session,
// and what o says, wakes it. It is called once, before the first Wait. A
// session that ended before Watch is not noticed: check it afterwards.
func (r *Reader) Watch(o Watch) {
	r.expect(o.Ring)
	r.watched, r.idle = true, true
	r.p.wheel.watch(&r.waiter, o)
	if r.p.waiters.add(&r.waiter) {
		r.raise(WakeShutdown)
	}
}

// Wait blocks until there may be something to read, or another reason to wake;
// it returns WakeGone when done closes first. A nil done costs least. It is not
// for a reader that was given a Ring.
func (r *Reader) Wait(done <-chan struct{}) Wake { return r.await(r.Ready, done) }

// Ending returns why the reader is to end, of WakeEnds; 0 while it is not. It
// leaves the other reasons to Wait.
func (r *Reader) Ending() Wake { return Wake(r.flags.Load()) & WakeEnds }

// Ready returns why the reader need not wait. When that is 0 whatever comes next
// wakes it, once.
func (r *Reader) Ready() Wake {
	reason := r.reasons()
	if reason&WakeRetry != 0 {
		r.paused = false
	}
	if reason != 0 || r.paused {
		return reason
	}
	if end := r.stretch[r.at].ToSeq; end != 0 && r.pos >= end {
		return WakeEvents // Read has to see what follows the removal
	}
	parked, alive := r.topic.park(r)
	switch {
	case !alive:
		return WakeReset
	case parked:
		r.idle = true
	case r.idle && r.coalesce > 0:
		r.Pause(time.Duration(r.coalesce))
	default:
		return WakeEvents
	}
	return r.reasons()
}

// Pause keeps events from waking the reader until d has passed, after Read
// failed. Watch comes first.
func (r *Reader) Pause(d time.Duration) {
	r.paused = true
	r.p.wheel.resume(&r.waiter, r.p.now()+int64(d))
}

// BeginWrite and EndWrite enclose a write to the reader's client. A write that
// lasts longer than Watch.WriteLimit is cut; a heartbeat falls due so long
// after the last one.
func (r *Reader) BeginWrite() { r.wrote.Store(-r.p.now()) }

// EndWrite ends what BeginWrite began.
func (r *Reader) EndWrite() { r.wrote.Store(r.p.now()) }

// Read appends what comes next to frames, at most maxEvents events and, after
// the first, maxBytes bytes of frames, and moves the position behind it. It
// returns nothing new when there is nothing, or when Removed. An error means
// that the store could not be read; the position is behind what was returned.
func (r *Reader) Read(ctx context.Context, frames []Frame, maxEvents, maxBytes int) ([]Frame, error) {
	return r.read(ctx, budget{frames: frames, events: maxEvents, bytes: maxBytes})
}

// ReadFitting is Read where fit decides how much is given: it is asked of each
// frame in turn, and the first that it refuses is the next to be read.
func (r *Reader) ReadFitting(ctx context.Context, frames []Frame, maxEvents int, fit func(Frame) bool) ([]Frame, error) {
	return r.read(ctx, budget{frames: frames, events: maxEvents, fit: fit})
}

func (r *Reader) read(ctx context.Context, b budget) ([]Frame, error) {
	r.paused = false
	for !r.removed && b.events > 0 {
		s := r.stretch[r.at]
		if s.ToSeq != 0 && r.pos >= s.ToSeq {
			if !r.leave(ctx, &b) {
				return b.frames, b.err
			}
			continue
		}
		entries, err := r.next(ctx)
		if err != nil || len(entries) == 0 {
			return b.frames, err
		}
		for _, e := range entries {
			if s.ToSeq != 0 && e.seq > s.ToSeq && !planted.On(planted.DeliveryAfterRemoval) {
				break
			}
			if r.upTo != 0 && e.stamp > r.upTo {
				r.beyond = true
				return b.frames, nil
			}
			if !b.take(frameFor(e, r.user)) {
				return b.frames, nil
			}
			r.pos, r.idle = e.seq, false
			if e.ends == r.user && s.ToSeq == 0 {
				r.stretch = slices.Clone(r.stretch)
				r.stretch[r.at].ToSeq = e.seq
				r.stale = true
				break
			}
		}
	}
	return b.frames, nil
}

// next returns entries that follow pos, from the ring or else from the store,
// as far as the log is known to go; none when pos is there.
func (r *Reader) next(ctx context.Context) ([]*entry, error) {
	want := r.pos + 1
	v := r.topic.view.Load()
	if want >= v.first() {
		if want <= v.head {
			return v.entries[want-v.first():], nil
		}
		if want > r.floor {
			return nil, nil
		}
	}
	// Behind the ring; or in front of it, when the topic lags behind what this
	// reader knows to be in the log.
	page, err := r.p.pages.get(ctx, r.topic, want, max(v.head, r.floor))
	if err != nil {
		return nil, err
	}
	return page.after(r.pos), nil
}

// leave moves from the end of a stretch, a removal, to the next one if the
// viewer was added again, giving one hidden event for what lies between. It
// returns false when there is nothing more to give for now.
func (r *Reader) leave(ctx context.Context, b *budget) bool {
	if int(r.at) == len(r.stretch)-1 {
		if !r.stale {
			r.removed = true
			return false
		}
		m, err := r.p.log.Membership(ctx, r.topic.id, r.user)
		if store.CodeOf(err) == store.CodeNotFound {
			r.removed = true
			return false
		}
		if err != nil {
			b.err = err
			return false
		}
		r.stale = false
		r.follow(m)
		return true
	}
	gap := store.Event{
		ConversationID: r.topic.id, Type: store.EventHidden,
		Seq: r.pos + 1, ThroughSeq: r.stretch[r.at+1].FromSeq - 1,
	}
	if gap.Seq <= gap.ThroughSeq {
		// What is hidden is as old as the return that follows it: an inbox whose
		// place goes by stamps would else give it again.
		if gap.Stamp, b.err = r.stampAfter(ctx, gap.ThroughSeq); b.err != nil {
			return false
		}
		if r.upTo != 0 && gap.Stamp > r.upTo {
			r.beyond = true
			return false
		}
		if !b.take(frameFor(encode(&gap, r.topic.epoch), r.user)) {
			return false
		}
		r.pos = gap.ThroughSeq
	}
	r.at++
	return true
}

// stampAfter is the stamp of the event that follows a seq, which is in the log.
func (r *Reader) stampAfter(ctx context.Context, seq int64) (int64, error) {
	pos := r.pos
	defer func() { r.pos = pos }()
	r.pos = seq
	r.floor = max(r.floor, seq+1)
	entries, err := r.next(ctx)
	if err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		return 0, store.Errorf(store.CodeUnavailable, "the log has not got as far as seq %d yet", seq+1)
	}
	return entries[0].stamp, nil
}

// follow takes memberships read after a removal was met, keeping the place.
func (r *Reader) follow(m store.Membership) {
	end := r.stretch[r.at].ToSeq
	for i, s := range m.Intervals {
		if s.ToSeq == end {
			r.stretch, r.at = m.Intervals, int32(i)
			r.floor = max(r.floor, m.LastSeq)
			r.topic.establish(m.LastSeq)
			return
		}
	}
	r.removed = true // the log and the memberships disagree: trust the log
}

// Position is the last seq given, or that the reader began behind.
func (r *Reader) Position() int64 { return r.pos }

// Epoch is the epoch of the reader's cursors.
func (r *Reader) Epoch() string { return r.topic.epoch }

// FirstSeq is the first seq that the viewer may read.
func (r *Reader) FirstSeq() int64 { return r.stretch[0].FromSeq }

// Removed reports whether the viewer has been given their own removal and is
// not a member any more: there is nothing more to come.
func (r *Reader) Removed() bool { return r.removed }

// More reports whether there is something to read right now.
func (r *Reader) More() bool {
	return !r.removed && r.pos < r.bound(max(r.topic.view.Load().head, r.floor))
}

// Head is how far the log has got for this viewer, as this node knows it;
// fresh is false while the sweep fails, when another node may know more.
func (r *Reader) Head() (seq int64, fresh bool) {
	return r.bound(max(r.topic.knownHead(), r.floor)), r.p.sweeper.fresh()
}

// end is the last seq of the last stretch; 0 while the membership lasts.
func (r *Reader) end() int64 { return r.stretch[len(r.stretch)-1].ToSeq }

// bound is seq, or the viewer's removal if that came before.
func (r *Reader) bound(seq int64) int64 {
	if end := r.end(); end != 0 {
		return min(seq, end)
	}
	return seq
}
