package poller

import (
	"context"
	"maps"
	"slices"
	"time"

	"holdline/store"
)

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
		if len(in.followers(e.ConversationID)) > 0 {
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
	return len(in.followers(conversation)) > 0
}

// watermarksMoved takes the conversations whose watermarks this node has moved.
func (in *inboxes) watermarksMoved(conversations []store.ID) { in.enqueue(in.moved, conversations) }

// hint takes the conversations that another node says have gone on.
func (in *inboxes) hint(heads []store.Head) {
	ids := make([]store.ID, len(heads))
	for n, h := range heads {
		ids[n] = h.ConversationID
	}
	in.enqueue(in.hinted, ids)
}

// enqueue adds what somebody's inbox follows to one of run's sets.
func (in *inboxes) enqueue(set map[store.ID]struct{}, conversations []store.ID) {
	var wanted []store.ID
	in.mu.RLock()
	for _, id := range conversations {
		if len(in.followers(id)) > 0 {
			wanted = append(wanted, id)
		}
	}
	in.mu.RUnlock()
	if len(wanted) == 0 {
		return
	}
	in.queueMu.Lock()
	for _, id := range wanted {
		set[id] = struct{}{}
	}
	in.queueMu.Unlock()
	in.wake()
}

// readHinted reads how far the conversations have got that were hinted at, once
// for all inboxes: a hint alone proves nothing.
func (in *inboxes) readHinted(conversations []store.ID) {
	ctx, cancel := context.WithTimeout(in.p.ctx, readTimeout)
	defer cancel()
	heads, err := in.p.log.Heads(ctx, conversations)
	if err != nil {
		if in.p.ctx.Err() == nil {
			in.p.logger.Warn("poller: reading what was hinted at failed; it comes with the next sweep", "error", err)
		}
		return
	}
	in.p.topics.hint(heads, true)
	in.mark(heads)
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
		hinted := slices.Collect(maps.Keys(in.hinted))
		clear(in.hinted)
		if len(in.moved) > 0 {
			if wait := movesInterval - time.Since(in.movedAt); wait > 0 {
				timer.Reset(wait)
			} else {
				in.movedAt = time.Now()
				moved = slices.Collect(maps.Keys(in.moved))
				clear(in.moved)
			}
		}
		in.queueMu.Unlock()
		in.mark(batch)
		if len(hinted) > 0 {
			in.readHinted(hinted)
		}
		if len(moved) > 0 {
			in.readMoves(moved)
		}
	}
}

// mark makes conversations owed, each up to a seq that is certainly in its log.
func (in *inboxes) mark(heads []store.Head) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	for _, h := range heads {
		for _, number := range in.followers(h.ConversationID) {
			in.people[number].owe(h)
		}
	}
}

// owe marks a conversation for all of a user's inboxes, under inboxes.mu.
func (u *inboxUser) owe(h store.Head) {
	for _, i := range u.readers {
		i.owe(h.ConversationID, h.LastSeq)
	}
}

// readMoves reads what moved in some conversations, once for all inboxes. What
// cannot be read now the sweep finds.
func (in *inboxes) readMoves(conversations []store.ID) {
	ctx, cancel := context.WithTimeout(in.p.ctx, readTimeout)
	defer cancel()
	epoch := in.p.Epoch()
	moves, err := in.p.log.MovesIn(ctx, conversations, in.closed.Load())
	if err == nil {
		err = in.deliverMoves(ctx, moves, epoch, false)
	}
	if err != nil && in.p.ctx.Err() == nil {
		in.p.logger.Warn("poller: reading receipts failed; they come with the next sweep", "error", err)
	}
}

// deliverMoves hands moves to the inboxes of the conversations' members, but for
// conversations too large to name people. epoch is the one before they were read.
// What was told before is told again only if again: somebody's interests may be newer.
func (in *inboxes) deliverMoves(ctx context.Context, moves []store.WatermarkMove, epoch string, again bool) error {
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
	// One after the other, so that the latest told is the latest to wait in an inbox.
	in.telling.Lock()
	defer in.telling.Unlock()
	in.mu.RLock()
	defer in.mu.RUnlock()
	for i := range moves {
		m := &moves[i]
		if !named[m.ConversationID] {
			continue
		}
		r, news := in.receipts.tell(m, epoch, true)
		if r == nil || !news && !again {
			continue
		}
		for _, number := range in.followers(m.ConversationID) {
			u := in.people[number]
			if !m.Concerns(u.id) {
				continue
			}
			for _, i := range u.readers {
				i.oweReceipt(r)
			}
		}
	}
	return nil
}

// swept takes what a sweep found above the stamp of the one before, and then
// publishes the new one.
func (in *inboxes) swept(ctx context.Context, heads []store.Head, closed int64, since int64) error {
	in.mu.RLock()
	nobody := len(in.users) == 0
	in.mu.RUnlock()
	if !nobody {
		changes, err := in.p.log.InboxChanges(ctx, since)
		if err != nil {
			return err
		}
		// By the interests as they were, and as they are: what came before an end
		// that is known only now is to be given too.
		in.mark(heads)
		if len(changes.Memberships) > 0 {
			if err := in.changed(ctx, changes.Memberships, heads); err != nil {
				return err
			}
			in.mark(heads)
		}
		if err := in.deliverMoves(ctx, changes.Moves, in.p.Epoch(), true); err != nil {
			return err
		}
	}
	moved := in.closed.Swap(closed) < closed
	in.forget()
	in.receipts.forget()
	if moved {
		in.releaseStuck()
	}
	return nil
}

// releaseStuck wakes those that waited for closed to move. One for which it has
// not moved far enough comes back.
func (in *inboxes) releaseStuck() {
	in.stuckMu.Lock()
	stuck := slices.Collect(maps.Keys(in.stuck))
	clear(in.stuck)
	in.stuckMu.Unlock()
	for _, i := range stuck {
		i.mu.Lock()
		i.signal()
		i.mu.Unlock()
	}
}

// anyStuck reports whether some inbox waits for closed to move.
func (in *inboxes) anyStuck() bool {
	in.stuckMu.Lock()
	defer in.stuckMu.Unlock()
	return len(in.stuck) > 0
}

// changed takes the memberships that began or ended, of one user after the
// other. What a user missed of one that has ended, or that they were in only
// between two looks, no mark by the index has told.
func (in *inboxes) changed(ctx context.Context, changes []store.MembershipChange, heads []store.Head) error {
	last := make(map[store.ID]int64, len(heads))
	for _, h := range heads {
		last[h.ConversationID] = h.LastSeq
	}
	var u *inboxUser
	for n, c := range changes {
		if n == 0 || c.UserID != changes[n-1].UserID {
			in.mu.RLock()
			u = in.users[c.UserID]
			in.mu.RUnlock()
			if u != nil {
				if err := in.load(ctx, u, true); err != nil {
					return err
				}
			}
		}
		seq := c.ToSeq
		if seq == 0 {
			seq = last[c.ConversationID]
		}
		if u == nil || seq == 0 {
			continue
		}
		if err := in.adopt(u, c.Interest); err != nil {
			return err
		}
		in.mu.RLock()
		u.owe(store.Head{ConversationID: c.ConversationID, LastSeq: seq})
		in.mu.RUnlock()
	}
	return nil
}

// waitForClosed has an inbox woken when closed moves, and has that looked for:
// once, since the sweeper goes on as long as somebody waits.
func (in *inboxes) waitForClosed(i *Inbox) {
	in.stuckMu.Lock()
	_, waits := in.stuck[i]
	in.stuck[i] = struct{}{}
	in.stuckMu.Unlock()
	if !waits {
		in.p.sweeper.now()
	}
}
