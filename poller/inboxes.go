package poller

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdline/store"
)

// inboxes are the users who follow their inbox on this node. An inbox costs no
// topic for each of its conversations, only an interest, which all inboxes of
// its user share.
//
// Whoever commits or sweeps marks a conversation as owed to the inboxes that
// are interested in it; they read it from its topic. The sweep marks all that
// lies up to a closed stamp before it publishes that stamp, so an inbox that
// owes nothing may take the published stamp for its T: an idle one does no work.
type inboxes struct {
	p *Poller

	mu    sync.RWMutex
	users map[store.ID]*inboxUser
	// index is who is interested in a conversation.
	index map[store.ID][]*inboxUser

	// closed is the stamp up to which everything has been marked.
	closed atomic.Int64

	stuckMu sync.Mutex
	stuck   map[*Inbox]struct{} // those that wait for closed to move

	// Marks on their way to the inboxes, so that the store's writer need not go there.
	signal  chan struct{}
	queueMu sync.Mutex
	queue   []store.Head
	moved   map[store.ID]struct{} // conversations whose watermarks moved
	movedAt time.Time             // when moved was last read

	places placeCache
}

// inboxUser is what the inboxes of one user share.
type inboxUser struct {
	id store.ID

	// Guarded by inboxes.mu:
	interests []interest // by conversation
	readers   []*Inbox
	loaded    bool
	loading   sync.Mutex // held while the interests are read
}

// interest is one conversation of a user.
type interest struct {
	conversation store.ID
	from         int64 // the first seq of the latest stretch
	slot         int32
	over         bool // not a member any more; kept for the inboxes that have not read so far
}

func (in *inboxes) init(p *Poller) {
	in.p = p
	in.users = make(map[store.ID]*inboxUser)
	in.index = make(map[store.ID][]*inboxUser)
	in.stuck = make(map[*Inbox]struct{})
	in.moved = make(map[store.ID]struct{})
	in.signal = make(chan struct{}, 1)
	in.places.init(p)
}

// attach registers an inbox: from its return on everything new is marked for it.
func (in *inboxes) attach(ctx context.Context, i *Inbox) error {
	in.mu.Lock()
	u := in.users[i.user]
	if u == nil {
		u = &inboxUser{id: i.user}
		in.users[i.user] = u
	}
	u.readers = append(u.readers, i)
	in.mu.Unlock()
	i.owner = u
	if err := in.load(ctx, u, false); err != nil {
		in.detach(i)
		return err
	}
	return nil
}

func (in *inboxes) detach(i *Inbox) {
	in.stuckMu.Lock()
	delete(in.stuck, i)
	in.stuckMu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	u := i.owner
	u.readers = slices.DeleteFunc(u.readers, func(other *Inbox) bool { return other == i })
	if len(u.readers) > 0 {
		return
	}
	delete(in.users, u.id)
	for _, it := range u.interests {
		in.unindex(it.conversation, u)
	}
	u.interests, u.loaded = nil, false
}

func (in *inboxes) unindex(conversation store.ID, u *inboxUser) {
	left := slices.DeleteFunc(in.index[conversation], func(other *inboxUser) bool { return other == u })
	if len(left) == 0 {
		delete(in.index, conversation)
		return
	}
	in.index[conversation] = left
}

// load reads a user's interests; again says that they are known to have changed.
func (in *inboxes) load(ctx context.Context, u *inboxUser, again bool) error {
	u.loading.Lock()
	defer u.loading.Unlock()
	in.mu.RLock()
	loaded := u.loaded
	in.mu.RUnlock()
	if loaded && !again {
		return nil
	}
	found, err := in.p.log.Interests(ctx, u.id)
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.users[u.id] != u {
		return nil // the last inbox is gone
	}
	fresh := make([]interest, 0, len(found)+len(u.interests)/8)
	for _, f := range found {
		fresh = append(fresh, interest{conversation: f.ConversationID, from: f.FromSeq, slot: int32(f.Slot)})
	}
	for _, old := range u.interests {
		at, still := findInterest(fresh, old.conversation)
		if still {
			continue
		}
		if !old.over {
			in.unindex(old.conversation, u)
		}
		old.over = true
		fresh = slices.Insert(fresh, at, old)
	}
	for _, it := range fresh {
		if it.over {
			continue
		}
		if at, known := findInterest(u.interests, it.conversation); !known || u.interests[at].over {
			in.index[it.conversation] = append(in.index[it.conversation], u)
		}
	}
	u.interests, u.loaded = fresh, true
	return nil
}

func findInterest(all []interest, conversation store.ID) (at int, found bool) {
	return slices.BinarySearchFunc(all, conversation, func(it interest, id store.ID) int {
		switch {
		case it.conversation < id:
			return -1
		case it.conversation > id:
			return 1
		}
		return 0
	})
}

// interest returns a user's interest in a conversation, an ended one too.
func (in *inboxes) interest(u *inboxUser, conversation store.ID) (interest, bool) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	at, found := findInterest(u.interests, conversation)
	if !found {
		return interest{}, false
	}
	return u.interests[at], true
}

// adopt makes a conversation known that a scan has found and the interests do
// not hold: one that has ended, or has just begun.
func (in *inboxes) adopt(u *inboxUser, found store.Interest) {
	in.mu.Lock()
	defer in.mu.Unlock()
	at, known := findInterest(u.interests, found.ConversationID)
	if !known {
		u.interests = slices.Insert(u.interests, at, interest{
			conversation: found.ConversationID, from: found.FromSeq, slot: int32(found.Slot), over: true,
		})
	}
}

// feed takes what this node has just committed: O(1) an event.
func (in *inboxes) feed(events []store.Event) {
	structural := false
	in.mu.RLock()
	if len(in.users) == 0 {
		in.mu.RUnlock()
		return
	}
	var wanted []store.Head
	for i := range events {
		e := &events[i]
		structural = structural || e.Type == store.EventMember || e.Type == store.EventCreated
		if len(in.index[e.ConversationID]) > 0 {
			wanted = append(wanted, store.Head{ConversationID: e.ConversationID, LastSeq: e.Seq})
		}
	}
	in.mu.RUnlock()
	if len(wanted) > 0 {
		in.queueMu.Lock()
		in.queue = append(in.queue, wanted...)
		in.queueMu.Unlock()
		in.wake()
	}
	if structural {
		in.p.sweeper.now() // it looks at memberships
	}
}

// wanted reports whether somebody's inbox follows a conversation.
func (in *inboxes) wanted(conversation store.ID) bool {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.index[conversation]) > 0
}

// watermarksMoved takes the conversations whose watermarks this node has moved.
func (in *inboxes) watermarksMoved(conversations []store.ID) {
	in.mu.RLock()
	var wanted []store.ID
	for _, id := range conversations {
		if len(in.index[id]) > 0 {
			wanted = append(wanted, id)
		}
	}
	in.mu.RUnlock()
	if len(wanted) == 0 {
		return
	}
	in.queueMu.Lock()
	for _, id := range wanted {
		in.moved[id] = struct{}{}
	}
	in.queueMu.Unlock()
	in.wake()
}

func (in *inboxes) wake() {
	select {
	case in.signal <- struct{}{}:
	default:
	}
}

// movesInterval is how often at most the watermarks that this node moved are
// read for its inboxes.
const movesInterval = 50 * time.Millisecond

// run carries marks to inboxes.
func (in *inboxes) run() {
	var batch []store.Head
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-in.p.ctx.Done():
			return
		case <-in.signal:
		case <-timer.C:
		}
		in.queueMu.Lock()
		batch, in.queue = in.queue, batch[:0]
		var moved []store.ID
		if len(in.moved) > 0 {
			if wait := movesInterval - time.Since(in.movedAt); wait > 0 {
				timer.Reset(wait)
			} else {
				in.movedAt = time.Now()
				for id := range in.moved {
					moved = append(moved, id)
				}
				clear(in.moved)
			}
		}
		in.queueMu.Unlock()
		for _, h := range batch {
			in.mark(h)
		}
		if len(moved) > 0 {
			in.readMoves(moved)
		}
	}
}

// mark makes a conversation owed, up to a seq that is certainly in its log.
func (in *inboxes) mark(h store.Head) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	for _, u := range in.index[h.ConversationID] {
		for _, i := range u.readers {
			i.owe(h.ConversationID, h.LastSeq)
		}
	}
}

// readMoves reads what moved in some conversations, once for all inboxes. What
// cannot be read now the sweep finds.
func (in *inboxes) readMoves(conversations []store.ID) {
	ctx, cancel := context.WithTimeout(in.p.ctx, readTimeout)
	defer cancel()
	moves, err := in.p.log.MovesIn(ctx, conversations, in.closed.Load())
	if err == nil {
		err = in.deliverMoves(ctx, moves)
	}
	if err != nil && in.p.ctx.Err() == nil {
		in.p.logger.Warn("poller: reading receipts failed; they come with the next sweep", "error", err)
	}
}

// deliverMoves hands moves to the inboxes of the conversations' members, but for
// conversations too large to name people.
func (in *inboxes) deliverMoves(ctx context.Context, moves []store.WatermarkMove) error {
	var conversations []store.ID
	for i := range moves {
		if in.wanted(moves[i].ConversationID) {
			conversations = append(conversations, moves[i].ConversationID)
		}
	}
	if len(conversations) == 0 {
		return nil
	}
	slices.Sort(conversations)
	named, err := in.p.log.NamesReaders(ctx, slices.Compact(conversations))
	if err != nil {
		return err
	}
	in.mu.RLock()
	defer in.mu.RUnlock()
	for i := range moves {
		m := &moves[i]
		if !named[m.ConversationID] {
			continue
		}
		r := newReceipt(m)
		for _, u := range in.index[m.ConversationID] {
			for _, i := range u.readers {
				i.oweReceipt(r)
			}
		}
	}
	return nil
}

// swept takes what a sweep found above the stamp of the one before, and then
// publishes the new one. changes is nil when nobody follows an inbox.
func (in *inboxes) swept(ctx context.Context, heads []store.Head, closed int64, since int64) error {
	in.mu.RLock()
	nobody := len(in.users) == 0
	in.mu.RUnlock()
	if !nobody {
		changes, err := in.p.log.InboxChanges(ctx, since)
		if err != nil {
			return err
		}
		for _, id := range changes.Members {
			in.mu.RLock()
			u := in.users[id]
			in.mu.RUnlock()
			if u == nil {
				continue
			}
			if err := in.load(ctx, u, true); err != nil {
				return err
			}
		}
		for _, h := range heads {
			in.mark(h)
		}
		if err := in.deliverMoves(ctx, changes.Moves); err != nil {
			return err
		}
	}
	in.closed.Store(closed)
	in.stuckMu.Lock()
	defer in.stuckMu.Unlock()
	for i := range in.stuck {
		delete(in.stuck, i)
		i.signal()
	}
	return nil
}

// waitForClosed has an inbox woken when closed moves.
func (in *inboxes) waitForClosed(i *Inbox) {
	in.stuckMu.Lock()
	in.stuck[i] = struct{}{}
	in.stuckMu.Unlock()
}
