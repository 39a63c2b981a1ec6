package poller

import (
	"context"
	"sync"
	"time"

	"holdline/store"
)

// InboxPosition is where an inbox begins, and whose it is.
type InboxPosition struct {
	Viewer, Session store.ID
	// Cursor is one that an Inbox of this user made. Without it the inbox begins
	// at what is closed now, or, FromStart, with everything there is.
	Cursor    string
	FromStart bool
	Key       []byte // the secret that cursors are sealed with
}

// ErrInboxCursor says that a cursor is none of this user's: cut, changed or
// another's.
var ErrInboxCursor = store.Errorf(store.CodeInvalid, "the cursor is not one that this server made for this user")

// Inbox is a place in the logs of all conversations of one user, that can
// wait. One goroutine uses it; Close it in the end.
//
// It holds a stamp T up to which it has given everything, and exceptions for
// the conversations in which it has given more; so an idle one holds nothing
// for each of its conversations.
type Inbox struct {
	waiter
	p     *Poller
	owner *inboxUser
	codec inboxCodec
	place inboxPlace
	scan  *inboxScan // nil once everything up to its T1 is given
	// given is the closed stamp up to which everything has been given; T takes
	// it at the next Read, so that a cursor still names what came just before it.
	given     int64
	delivered Delivered
	known     bool // registered to be woken

	mu       sync.Mutex
	owed     map[store.ID]int64 // conversations with something to give, up to a seq that is certainly there
	paidTo   map[store.ID]int64 // what was given since T last moved by itself: a mark that comes late is not owed
	receipts map[receiptKey]*Receipt
	lost     bool // receipts beyond maxOwedReceipts were dropped: read them anew
	stuck    bool // full, until closed moves
}

// maxOwedReceipts bounds the receipts that wait for a slow inbox; past it they
// are read anew when it comes to them.
const maxOwedReceipts = 1000

// InboxEvent is one event and the cursor behind it.
type InboxEvent struct {
	Frame
	conversation store.ID
	Cursor       []byte // nil unless asked for
}

// Conversation is whose event it is.
func (e *InboxEvent) Conversation() store.ID { return e.conversation }

// InboxBatch is what one Read gave. Receipts come first: they are older than
// the cursors of the events.
type InboxBatch struct {
	Receipts []*Receipt
	Events   []InboxEvent
	cursors  []byte
}

// Clear empties the batch for reuse.
func (b *InboxBatch) Clear() {
	clear(b.Receipts)
	clear(b.Events)
	b.Receipts, b.Events, b.cursors = b.Receipts[:0], b.Events[:0], b.cursors[:0]
}

// OpenInbox begins to follow an inbox. ErrInboxCursor, *ResetError for a
// cursor of another epoch.
func (p *Poller) OpenInbox(ctx context.Context, at InboxPosition) (*Inbox, error) {
	i := &Inbox{p: p, codec: inboxCodec{key: at.Key, user: at.Viewer, epoch: p.Epoch()}}
	i.user, i.session, i.slot = at.Viewer, at.Session, -1
	// Registered first: what is committed from here on is marked as owed, and the
	// scan reads what was closed before.
	if err := p.inboxes.attach(ctx, i); err != nil {
		return nil, err
	}
	if err := i.begin(ctx, at); err != nil {
		p.inboxes.detach(i)
		return nil, err
	}
	return i, nil
}

func (i *Inbox) begin(ctx context.Context, at InboxPosition) error {
	first := inboxScan{fresh: true}
	switch {
	case at.Cursor != "":
		parsed, fault := i.codec.parse(at.Cursor)
		switch fault {
		case cursorForged:
			return ErrInboxCursor
		case cursorOfOtherEpoch:
			return &ResetError{}
		}
		places, err := i.p.log.Places(ctx, i.user, parsed.t, parsed.named)
		if err != nil {
			return err
		}
		if len(places) != len(parsed.named) {
			return &ResetError{} // it names events that this log does not hold
		}
		i.place = parsed.inboxPlace
		i.delivered.Places = places
		i.delivered.Since, i.delivered.Until, i.delivered.Slot = i.place.t, i.place.t1, i.place.slot
		i.delivered.Seq = i.place.seq
		past := max(i.place.t, i.place.t1)
		for _, pl := range places {
			past = max(past, pl.Stamp)
			i.place.set(exception{slot: pl.Slot, conversation: pl.ConversationID, seq: pl.Seq, stamp: pl.Stamp, past: pl.Past})
		}
		if err := i.p.inboxes.renew(ctx, i.owner, past); err != nil {
			return err
		}
	case !at.FromStart:
		first.now = true
	}
	i.scan = &first
	return i.scan.start(ctx, i)
}

// Close gives the inbox up. Nothing wakes it any more.
func (i *Inbox) Close() {
	if i.known {
		i.p.waiters.remove(&i.waiter)
		i.p.wheel.remove(&i.waiter)
		i.known = false
	}
	i.p.inboxes.detach(i)
}

// Watch makes the inbox one that waits, as Reader.Watch does.
func (i *Inbox) Watch(o Watch) {
	i.mu.Lock()
	i.expect(o.Ring)
	i.mu.Unlock()
	i.known, i.idle = true, true
	i.p.wheel.watch(&i.waiter, o)
	if i.p.waiters.add(&i.waiter) {
		i.raise(WakeShutdown)
	}
	if i.p.Epoch() != i.codec.epoch {
		i.raise(WakeReset) // it was not among those who were told
	}
}

// owe marks a conversation as having something to give.
func (i *Inbox) owe(conversation store.ID, seq int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if seq <= i.paidTo[conversation] {
		return
	}
	if i.owed == nil {
		i.owed = make(map[store.ID]int64, 1)
	}
	i.owed[conversation] = max(i.owed[conversation], seq)
	i.signal()
}

func (i *Inbox) oweReceipt(r *Receipt) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.receipts) >= maxOwedReceipts {
		i.lost = true
		return
	}
	if i.receipts == nil {
		i.receipts = make(map[receiptKey]*Receipt, 1)
	}
	i.receipts[r.receiptKey] = r
	i.signal()
}

// Wait is Reader.Wait.
func (i *Inbox) Wait(done <-chan struct{}) Wake { return i.await(i.Ready, done) }

// Ready is Reader.Ready.
func (i *Inbox) Ready() Wake {
	reason := i.reasons()
	if reason&WakeRetry != 0 {
		i.paused = false
	}
	if reason != 0 || i.paused {
		return reason
	}
	if !i.More() {
		i.idle = true
		return 0
	}
	if i.idle && i.coalesce > 0 {
		i.Pause(time.Duration(i.coalesce))
		return i.reasons()
	}
	return WakeEvents
}

// More reports whether there is something to read right now.
func (i *Inbox) More() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stuck {
		// Full, and T cannot move yet: what is owed has to wait. Registered first,
		// so that either the new stamp is seen here or its sweep sees this inbox.
		if i.p.inboxes.closed.Load() <= i.place.t {
			i.p.inboxes.waitForClosed(i)
		}
		if i.p.inboxes.closed.Load() <= i.place.t {
			return len(i.receipts) > 0
		}
		i.stuck = false
	}
	return i.scan != nil && !i.scan.over() || len(i.owed) > 0 || len(i.receipts) > 0
}

// Ending is Reader.Ending.
func (i *Inbox) Ending() Wake { return Wake(i.flags.Load()) & WakeEnds }

// Pause is Reader.Pause.
func (i *Inbox) Pause(d time.Duration) {
	i.paused = true
	i.p.wheel.resume(&i.waiter, i.p.now()+int64(d))
}

// BeginWrite and EndWrite are Reader's.
func (i *Inbox) BeginWrite() { i.wrote.Store(-i.p.now()) }

// EndWrite ends what BeginWrite began.
func (i *Inbox) EndWrite() { i.wrote.Store(i.p.now()) }

// Fresh reports whether the inbox knows all that was committed anywhere as of
// about the sweep's interval ago.
func (i *Inbox) Fresh() bool { return i.p.sweeper.fresh() }

// AppendCursor appends the cursor behind everything that was read.
func (i *Inbox) AppendCursor(dst []byte) []byte { return i.codec.append(dst, &i.place) }

// Delivered is what the cursor that an inbox began with shows to have arrived:
// places beyond T, and, when Until is not 0, whatever has a stamp above Since
// and up to Until in the slots before Slot, and up to Seq in this one.
type Delivered struct {
	Places       []store.Place
	Since, Until int64
	Slot, Seq    int64
}

// Delivered tells what the inbox's first cursor acknowledges.
func (i *Inbox) Delivered() Delivered { return i.delivered }
