package poller

import (
	"context"
	"maps"
	"slices"

	"holdline/store"
)

// Read fills b with what comes next, at most maxEvents events and, after the
// first, maxBytes bytes of frames; cursors asks for the cursor behind each. It
// gives nothing when there is nothing, or when the cursor is full and T cannot
// move yet. An error means that the store could not be read; the place is
// behind what was given.
func (i *Inbox) Read(ctx context.Context, b *InboxBatch, maxEvents, maxBytes int, cursors bool) error {
	return i.read(ctx, &inboxOut{batch: b, events: maxEvents, bytes: maxBytes, cursors: cursors})
}

// ReadFitting is Read where fit decides how much is given: it is asked of each
// event in turn, and the first that it refuses is the next to be read of its
// conversation. It must take the first of all. The receipts are in b before it is asked.
func (i *Inbox) ReadFitting(ctx context.Context, b *InboxBatch, maxEvents int, fit func(Frame, store.ID) bool) error {
	return i.read(ctx, &inboxOut{batch: b, events: maxEvents, bytes: 1, fit: fit})
}

func (i *Inbox) read(ctx context.Context, out *inboxOut) error {
	out.batch.Clear()
	defer func() { i.idle = i.idle && len(out.batch.Events)+len(out.batch.Receipts) == 0 }()
	i.paused = false
	if i.scan == nil && i.given > i.place.t {
		i.place.advance(i.given)
		i.settle()
	}
	for {
		if out.fit != nil && len(out.batch.Events) > 0 {
			return nil // no receipt comes behind an event
		}
		if i.scan != nil {
			done, err := i.scan.read(ctx, i, out)
			if err != nil || !done {
				return err
			}
			continue
		}
		again, err := i.readOwed(ctx, out)
		if err != nil || !again {
			return err
		}
	}
}

// inboxOut is what a Read has given so far, within its bounds.
type inboxOut struct {
	batch         *InboxBatch
	events, bytes int
	cursors       bool
	fit           func(Frame, store.ID) bool // in place of bytes
	refused       bool                       // by fit
}

func (o *inboxOut) full() bool {
	return o.refused || o.events <= 0 || (o.bytes <= 0 && len(o.batch.Events) > 0)
}

// readOwed gives what is owed in the list form. again says that a scan has
// been begun in its place: the cursor is full.
func (i *Inbox) readOwed(ctx context.Context, out *inboxOut) (again bool, err error) {
	// Before looking at what is owed: all up to here is among it.
	closed := i.p.inboxes.closed.Load()
	if err := i.takeReceipts(ctx, out); err != nil {
		return false, err
	}
	owed := i.marks()
	conversations := slices.Sorted(maps.Keys(owed))
	var held []store.ID
	for _, id := range conversations {
		if out.full() {
			return false, nil
		}
		it, ok := i.p.inboxes.interest(i.owner, id)
		if !ok {
			i.paid(id, owed[id]) // never a member's
			continue
		}
		if !i.room(it, owed[id]) {
			held = append(held, id)
			continue
		}
		if err := i.give(ctx, it, out); err != nil {
			return false, err
		}
	}
	i.mu.Lock()
	left := len(i.owed)
	i.mu.Unlock()
	switch {
	case left == 0:
		i.given = max(i.given, closed)
		return false, nil
	case len(held) == 0:
		return false, nil // marked meanwhile, or out of bounds
	case closed > i.place.t:
		i.scan = newOwedScan(i, closed)
		return true, nil
	}
	i.mu.Lock()
	i.stuck = true
	i.mu.Unlock()
	i.p.inboxes.waitForClosed(i)
	return false, nil
}

// marks is what is owed now.
func (i *Inbox) marks() map[store.ID]int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.owed)
}

// takeReceipts gives the receipts that wait. Where they are read from the store,
// that knows all of them.
func (i *Inbox) takeReceipts(ctx context.Context, out *inboxOut) error {
	i.mu.Lock()
	waiting, lost := i.receipts, i.lost
	i.receipts, i.lost = nil, false
	i.mu.Unlock()
	if lost {
		err := i.readReceipts(ctx, out)
		if err != nil {
			i.readAnew()
		}
		return err
	}
	for _, r := range waiting {
		// What has come late, from before the cursor, has been given already.
		if r = i.p.inboxes.receipts.newest(r); r.stamp > i.receiptsSince() {
			out.batch.Receipts = append(out.batch.Receipts, r)
		}
	}
	return nil
}

// Showed tells that the reader was shown watermarks as they were read from the
// store behind the inbox's back. What was read before that and comes later
// gives way to them.
func (i *Inbox) Showed(moves []store.WatermarkMove) {
	for m := range moves {
		if moves[m].Stamp > i.receiptsSince() { // of those before no receipt comes
			i.p.inboxes.receipts.note(&moves[m], i.codec.epoch)
		}
	}
}

// readAnew has the receipts read from the store, whatever waits.
func (i *Inbox) readAnew() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lost = true
}

// receiptsSince is the stamp up to which receipts have been given: T, or T1 for a
// cursor that came back in the middle of a scan, since receipts precede its
// events.
func (i *Inbox) receiptsSince() int64 {
	if i.scan != nil && i.scan.resumed {
		return max(i.place.t, i.scan.t1)
	}
	return i.place.t
}

// readReceipts gives what has moved since, from the store.
func (i *Inbox) readReceipts(ctx context.Context, out *inboxOut) error {
	moves, err := i.p.log.MovesFor(ctx, i.user, i.receiptsSince())
	for m := range moves {
		out.batch.Receipts = append(out.batch.Receipts, i.p.inboxes.receipts.note(&moves[m], i.codec.epoch))
	}
	return err
}

// room reports whether a conversation may be given more in the list form: the
// longest cursor that could come of it must leave room for a scan.
func (i *Inbox) room(it interest, head int64) bool {
	// One Read gives fewer seqs than this, unless it steps over what is hidden.
	const atOnce = 1 << 13
	e := exception{slot: int64(it.slot), past: max(atOnce, head, it.from)}
	if at, found := i.place.find(e.slot); found {
		old := i.place.exceptions[at]
		e.past = old.past + max(atOnce, head-old.seq, it.from-old.seq)
	}
	return i.place.scanSize(e) <= maxCursorBytes
}

// settle forgets what was paid: the sweep has marked everything up to T by now,
// and an idle inbox holds nothing for its conversations.
func (i *Inbox) settle() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paidTo = nil
}

// paid takes a mark back, unless it has been raised above seq meanwhile. Each
// event is marked more than once, by whoever commits it and by the sweep.
func (i *Inbox) paid(conversation store.ID, seq int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.paidTo == nil {
		i.paidTo = make(map[store.ID]int64, 1)
	}
	i.paidTo[conversation] = max(i.paidTo[conversation], seq)
	if i.owed[conversation] <= seq {
		delete(i.owed, conversation)
		if len(i.owed) == 0 {
			i.owed = nil
		}
	}
}

// give gives a conversation's events beyond what the inbox has given of it.
func (i *Inbox) give(ctx context.Context, it interest, out *inboxOut) error {
	i.mu.Lock()
	head := i.owed[it.conversation]
	i.mu.Unlock()
	pos, err := i.position(ctx, it)
	if err != nil {
		return err
	}
	if head <= pos {
		i.paid(it.conversation, pos)
		return nil
	}
	r, err := i.reader(ctx, it, pos, head)
	if store.CodeOf(err) == store.CodeNotFound {
		i.paid(it.conversation, head)
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if err := i.copy(ctx, r, int64(it.slot), pos, out); err != nil {
		return err
	}
	if r.Removed() {
		i.p.inboxes.pass(i.owner, it.conversation)
		// What was said behind the removal is not for them; a mark that is
		// higher still may be of their return.
		i.paid(it.conversation, max(head, r.pos))
	} else {
		i.paid(it.conversation, r.pos)
	}
	return nil
}

// position is the last seq of a conversation that has been given.
func (i *Inbox) position(ctx context.Context, it interest) (int64, error) {
	if at, found := i.place.find(int64(it.slot)); found {
		return i.place.exceptions[at].seq, nil
	}
	if i.place.t == 0 {
		return 0, nil
	}
	if seq, ok := i.p.topics.placeAt(it.conversation, i.place.t); ok {
		return seq, nil
	}
	return i.p.inboxes.places.get(ctx, placeKey{it.conversation, i.codec.epoch, i.place.t})
}

// reader opens a place in one conversation. Its membership is as the node
// knows it; the store is asked when the place lies before the latest stretch.
func (i *Inbox) reader(ctx context.Context, it interest, pos, head int64) (*Reader, error) {
	if pos < it.from-1 || it.over || it.passed {
		r, err := i.p.Open(ctx, Position{Conversation: it.conversation, Viewer: i.user, After: pos})
		if err == nil {
			r.back()
		}
		return r, err
	}
	return i.p.openKnown(it.conversation, i.user, []store.Interval{{FromSeq: it.from}}, head, pos), nil
}

// copy moves what a reader gives into the batch. base is the conversation's
// place at T, or an exception's.
func (i *Inbox) copy(ctx context.Context, r *Reader, slot, base int64, out *inboxOut) error {
	var frames []Frame
	var err error
	if out.fit == nil {
		frames, err = r.Read(ctx, nil, out.events, max(out.bytes, 0))
	} else {
		frames, err = r.ReadFitting(ctx, nil, out.events, func(f Frame) bool {
			out.refused = !out.fit(f, r.topic.id)
			return !out.refused
		})
	}
	for _, f := range frames {
		i.move(exception{slot: slot, conversation: r.topic.id, seq: f.Through(), stamp: f.e.stamp, past: f.Through() - base})
		e := InboxEvent{Frame: f, conversation: r.topic.id}
		if out.cursors {
			from := len(out.batch.cursors)
			out.batch.cursors = i.AppendCursor(out.batch.cursors)
			e.Cursor = out.batch.cursors[from:len(out.batch.cursors):len(out.batch.cursors)]
		}
		out.batch.Events = append(out.batch.Events, e)
		out.events--
		if out.fit == nil {
			out.bytes -= f.Len()
		}
	}
	return err
}

// move notes how far a conversation has been given.
func (i *Inbox) move(e exception) {
	if i.place.t1 != 0 && e.slot == i.place.slot && e.stamp <= i.place.t1 {
		i.place.seq = e.seq // the scan's own place
		return
	}
	if at, found := i.place.find(e.slot); found {
		old := &i.place.exceptions[at]
		e.past = old.past + e.seq - old.seq
	}
	i.place.set(e)
}
