package poller

import (
	"cmp"
	"context"
	"slices"

	"holdline/internal/planted"
	"holdline/store"
)

const (
	// scanChunk is how many conversations that moved are read at once.
	scanChunk = 100
	// endSlot in a cursor says that its scan has passed every slot.
	endSlot = 1<<28 - 1
)

// inboxScan gives everything with a stamp above T and up to T1, slot by slot;
// then T is T1. An inbox begins with one over what moved while it was away, and
// makes another of what it owes whenever its exceptions would not fit.
type inboxScan struct {
	t1      int64
	pending []store.Moved // by slot
	next    int64         // the first slot that has not been asked for
	rest    bool          // there may be more from next on
	owed    bool          // of what is owed: memberships are as the node knows them
	given   bool          // something has been given
	now     bool          // begin at what is closed now
	fresh   bool          // not read yet
	// resumed: the cursor was in the middle of it. What has moved since in the
	// slots it had passed is for another scan, from T1 on.
	resumed bool
}

// start begins the scan of an inbox that has just been opened.
func (s *inboxScan) start(ctx context.Context, i *Inbox) error {
	if s.now {
		c, err := i.p.log.Changes(ctx, -1)
		if err != nil {
			return err
		}
		i.place.t = c.Closed
		// It begins behind the ends of memberships up to here, so none of these
		// would come to tell that an interest is over.
		if err := i.p.inboxes.renew(ctx, i.owner, c.Closed); err != nil {
			return err
		}
	}
	if i.place.t1 != 0 && i.place.slot == endSlot {
		i.place.advance(i.place.t1)
	}
	s.t1, s.next, s.rest = i.place.t1, i.place.slot, true
	s.resumed = s.t1 != 0
	if planted.On(planted.CursorSkipsConversation) && s.resumed {
		s.next++
	}
	if err := s.load(ctx, i); err != nil {
		return err
	}
	// The receipts are read after T1, so that T may take it.
	if !s.now {
		i.readAnew()
	}
	return nil
}

// load asks for the next conversations that moved.
func (s *inboxScan) load(ctx context.Context, i *Inbox) error {
	page, err := i.p.log.Moved(ctx, i.user, i.place.t, s.next, scanChunk)
	if err != nil {
		return err
	}
	if page.Epoch != i.codec.epoch || page.Closed < i.place.t {
		return &ResetError{}
	}
	if s.t1 == 0 && s.next == 0 {
		s.t1 = page.Closed // of the first page, for all of them
	}
	for n := range page.Moved {
		m := &page.Moved[n]
		if m.LastStamp > s.t1 {
			if err := i.p.inboxes.adopt(i.owner, m.Interest); err != nil {
				return err
			}
			i.owe(m.ConversationID, m.LastSeq)
		}
		s.next = m.Slot + 1
	}
	s.rest = page.More
	if s.t1 > i.place.t {
		s.pending = append(s.pending, page.Moved...)
		i.place.t1 = s.t1
	}
	return nil
}

// newOwedScan is a scan of what is owed, up to a published stamp.
func newOwedScan(i *Inbox, t1 int64) *inboxScan {
	s := &inboxScan{t1: t1, owed: true}
	for id, head := range i.marks() {
		if it, ok := i.p.inboxes.interest(i.owner, id); ok {
			s.pending = append(s.pending, store.Moved{
				Interest: store.Interest{ConversationID: id, Slot: int64(it.slot), FromSeq: it.from}, LastSeq: head,
			})
		}
	}
	slices.SortFunc(s.pending, func(a, b store.Moved) int { return cmp.Compare(a.Slot, b.Slot) })
	i.place.t1, i.place.slot, i.place.seq = t1, 0, 0
	return s
}

// read gives what fits; done says that the scan is over.
func (s *inboxScan) read(ctx context.Context, i *Inbox, out *inboxOut) (done bool, err error) {
	s.fresh = false
	// Those of a resumed scan lie behind its T1: no cursor of it covers them, so a
	// small page need not bring them beside each few events.
	if !s.resumed || out.fit == nil {
		if err := i.takeReceipts(ctx, out); err != nil {
			return false, err
		}
	}
	for {
		if len(s.pending) == 0 {
			if !s.rest {
				return s.end(ctx, i, len(out.batch.Events) > 0)
			}
			if err := s.load(ctx, i); err != nil {
				return false, err
			}
			continue
		}
		if out.full() {
			return false, nil
		}
		passed, err := s.give(ctx, i, &s.pending[0], out)
		if err != nil {
			return false, err
		}
		if !passed {
			return false, nil
		}
		s.pending = s.pending[1:]
	}
}

// end lets T take T1. A cursor that is about to be handed out behind events of
// this scan says first that the scan has passed everything: when it comes back
// it tells what has arrived.
func (s *inboxScan) end(ctx context.Context, i *Inbox, giving bool) (done bool, err error) {
	if i.place.t1 != 0 {
		if giving && s.given {
			i.place.slot, i.place.seq = endSlot, 0
			return false, s.needsAnother(ctx, i)
		}
		i.place.advance(i.place.t1)
	}
	if !s.resumed {
		i.scan = nil
		return true, nil
	}
	next := &inboxScan{fresh: true}
	if err := next.start(ctx, i); err != nil {
		return false, err
	}
	i.scan = next
	return true, nil
}

// needsAnother finds out whether a resumed scan has to be followed by another:
// so that More need not say yes to be sure.
func (s *inboxScan) needsAnother(ctx context.Context, i *Inbox) error {
	if !s.resumed {
		return nil
	}
	page, err := i.p.log.Moved(ctx, i.user, s.t1, 0, 1)
	if err == nil {
		s.resumed = len(page.Moved) > 0
	}
	return err
}

// over reports whether the scan has nothing more to give.
func (s *inboxScan) over() bool { return len(s.pending) == 0 && !s.rest && !s.fresh && !s.resumed }

// give gives one conversation's events up to T1; passed says that there are no more.
func (s *inboxScan) give(ctx context.Context, i *Inbox, m *store.Moved, out *inboxOut) (passed bool, err error) {
	base := m.At
	if s.owed {
		if base, err = i.position(ctx, interest{conversation: m.ConversationID, slot: int32(m.Slot)}); err != nil {
			return false, err
		}
	}
	pos := base
	if at, found := i.place.find(m.Slot); found {
		pos = max(pos, i.place.exceptions[at].seq)
	}
	if m.Slot == i.place.slot {
		pos = max(pos, i.place.seq)
	}
	i.place.slot, i.place.seq = m.Slot, pos
	r, err := s.reader(ctx, i, m, pos)
	if store.CodeOf(err) == store.CodeNotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	r.upTo = s.t1
	before := len(out.batch.Events)
	err = i.copy(ctx, r, m.Slot, base, out)
	s.given = s.given || len(out.batch.Events) > before
	i.paid(m.ConversationID, r.pos)
	if r.Removed() {
		i.p.inboxes.pass(i.owner, m.ConversationID)
	}
	return r.Removed() || r.beyond || r.pos >= m.LastSeq, err
}

func (s *inboxScan) reader(ctx context.Context, i *Inbox, m *store.Moved, pos int64) (*Reader, error) {
	if !s.owed {
		return i.p.openKnown(m.ConversationID, i.user, m.Intervals, m.LastSeq, pos), nil
	}
	it, _ := i.p.inboxes.interest(i.owner, m.ConversationID)
	return i.reader(ctx, it, pos, m.LastSeq)
}
