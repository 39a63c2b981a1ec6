package poller

import (
	"cmp"
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
	// idle are the users without an open inbox, since when: who polls comes back
	// at once, and is to find their interests as they are.
	idle map[*inboxUser]time.Time
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
	hinted  map[store.ID]struct{} // conversations that another node has told of
	moved   map[store.ID]struct{} // conversations whose watermarks moved
	movedAt time.Time             // when moved was last read

	places   placeCache
	receipts receiptBook
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
	// passed: an inbox has given the end of this stretch, and the sweep has not
	// been there yet. Whether they have come back since, the store knows.
	passed bool
}

func (in *inboxes) init(p *Poller) {
	in.p = p
	in.users = make(map[store.ID]*inboxUser)
	in.idle = make(map[*inboxUser]time.Time)
	in.index = make(map[store.ID][]*inboxUser)
	in.stuck = make(map[*Inbox]struct{})
	in.hinted = make(map[store.ID]struct{})
	in.moved = make(map[store.ID]struct{})
	in.receipts.init()
	in.signal = make(chan struct{}, 1)
	in.places.init(p)
}

// attach registers an inbox: from its return on everything new is marked for it.
// Whether its user's interests suit its cursor, renew has to say.
func (in *inboxes) attach(ctx context.Context, i *Inbox) error {
	in.mu.Lock()
	u := in.users[i.user]
	if u == nil {
		u = &inboxUser{id: i.user}
		in.users[i.user] = u
	}
	u.readers = append(u.readers, i)
	delete(in.idle, u)
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
	if len(u.readers) == 0 {
		in.idle[u] = time.Now()
	}
}

// userLinger is how long the interests of a user without an open inbox are kept.
const userLinger = 30 * time.Second

// forget gives up the users who have had no inbox open for a while.
func (in *inboxes) forget() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for u, since := range in.idle {
		if time.Since(since) < userLinger {
			continue
		}
		delete(in.idle, u)
		delete(in.users, u.id)
		for _, it := range u.interests {
			in.unindex(it.conversation, u)
		}
		u.interests, u.loaded = nil, false
	}
}

func (in *inboxes) unindex(conversation store.ID, u *inboxUser) {
	left := slices.DeleteFunc(in.index[conversation], func(other *inboxUser) bool { return other == u })
	if len(left) == 0 {
		delete(in.index, conversation)
		return
	}
	in.index[conversation] = left
}

// renew makes sure that the interests know whatever a cursor has gone past,
// which may be more than this node's sweep has seen: another node made it.
func (in *inboxes) renew(ctx context.Context, u *inboxUser, stamp int64) error {
	if stamp <= in.closed.Load() {
		return nil
	}
	return in.load(ctx, u, true)
}

// load reads a user's interests; again says that they are known to have changed.
func (in *inboxes) load(ctx context.Context, u *inboxUser, again bool) error {
	u.loading.Lock()
	defer u.loading.Unlock()
	passed, wanted := in.passedBefore(u, again)
	if !wanted {
		return nil
	}
	found, err := in.p.log.Interests(ctx, u.id)
	if err != nil {
		return err
	}
	in.replace(u, found, passed)
	return nil
}

// passedBefore returns the conversations whose ends have been passed; wanted is
// false when a user's interests need not be read.
func (in *inboxes) passedBefore(u *inboxUser, again bool) (passed map[store.ID]bool, wanted bool) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	if u.loaded && !again {
		return nil, false
	}
	passed = make(map[store.ID]bool)
	for _, it := range u.interests {
		if it.passed {
			passed[it.conversation] = true
		}
	}
	return passed, true
}

// replace puts what was found in the place of a user's interests, and keeps the
// ended ones for the inboxes that have not read so far. What was found knows the
// ends that had been passed before.
func (in *inboxes) replace(u *inboxUser, found []store.Interest, passed map[store.ID]bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.users[u.id] != u {
		return // forgotten meanwhile
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
	for n := range fresh {
		it := &fresh[n]
		if it.over {
			continue
		}
		at, known := findInterest(u.interests, it.conversation)
		if !known || u.interests[at].over {
			in.index[it.conversation] = append(in.index[it.conversation], u)
		}
		it.passed = known && u.interests[at].passed && !passed[it.conversation]
	}
	u.interests, u.loaded = fresh, true
}

func findInterest(all []interest, conversation store.ID) (at int, found bool) {
	return slices.BinarySearchFunc(all, conversation, func(it interest, id store.ID) int { return cmp.Compare(it.conversation, id) })
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

// pass notes that an inbox has given the end of a user's membership.
func (in *inboxes) pass(u *inboxUser, conversation store.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if at, found := findInterest(u.interests, conversation); found {
		u.interests[at].passed = true
	}
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
