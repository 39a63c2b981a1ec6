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
	epoch string // of the log that the interests are of
	users map[store.ID]*inboxUser
	// idle are the users without an open inbox, since when: who polls comes back
	// at once, and is to find their interests as they are.
	idle map[*inboxUser]time.Time
	interests

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
	telling  sync.Mutex // held while receipts are handed to the inboxes
}

// inboxUser is what the inboxes of one user share.
type inboxUser struct {
	id store.ID

	// Guarded by inboxes.mu:
	number    uint32
	interests []packedInterest // by conversation
	readers   []*Inbox
	loaded    bool
	loading   sync.Mutex // held while the interests are read
}

func (in *inboxes) init(p *Poller) {
	in.p = p
	in.users = make(map[store.ID]*inboxUser)
	in.idle = make(map[*inboxUser]time.Time)
	in.interests.init()
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
		in.enter(u)
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
	var gone []*inboxUser
	for u, since := range in.idle {
		if time.Since(since) < userLinger {
			continue
		}
		delete(in.idle, u)
		delete(in.users, u.id)
		u.loaded = false
		gone = append(gone, u)
	}
	in.leave(gone...)
}

// restart forgets what was known of the log in another epoch: who was in what,
// how far everybody was, and what was to be looked at. Those who follow it are
// reset. It precedes the epoch that cursors carry: no inbox of the new one has
// found anything of the old.
func (in *inboxes) restart(epoch string, closed int64) {
	in.queueMu.Lock()
	in.queue = nil
	clear(in.hinted)
	clear(in.moved)
	in.queueMu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.epoch = epoch
	for _, u := range in.users {
		u.interests, u.loaded = nil, false
	}
	in.interests.init()
	in.receipts.restart(epoch)
	in.closed.Store(closed)
}

// renew makes sure that the interests know whatever a cursor has gone past, or
// begins behind, which may be more than this node's sweep has seen.
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
	for {
		passed, epoch, wanted := in.passedBefore(u, again)
		if !wanted {
			return nil
		}
		found, err := in.p.log.Interests(ctx, u.id)
		if err != nil {
			return err
		}
		if over, err := in.loadedAs(u, found, passed, epoch); over {
			return err
		}
	}
}

// loadedAs takes what was found of a user's interests; over is false when the
// epoch has changed meanwhile, and they have to be read again.
func (in *inboxes) loadedAs(u *inboxUser, found []store.Interest, passed map[store.ID]bool, epoch string) (over bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.epoch != epoch:
		return false, nil
	case in.users[u.id] != u:
		return true, nil // forgotten meanwhile
	}
	u.loaded = true
	return true, in.replace(u, found, passed)
}

// passedBefore returns the conversations whose ends have been passed; wanted is
// false when a user's interests need not be read.
func (in *inboxes) passedBefore(u *inboxUser, again bool) (passed map[store.ID]bool, epoch string, wanted bool) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	if u.loaded && !again {
		return nil, in.epoch, false
	}
	passed = make(map[store.ID]bool)
	for n := range u.interests {
		if it := &u.interests[n]; it.is(passedBit) {
			passed[in.all[it.number].conversation] = true
		}
	}
	return passed, in.epoch, true
}

// interest returns a user's interest in a conversation, an ended one too.
func (in *inboxes) interest(u *inboxUser, conversation store.ID) (interest, bool) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.of(u, conversation)
}

// pass notes that an inbox has given the end of a user's membership.
func (in *inboxes) pass(u *inboxUser, conversation store.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if at, found := in.find(u.interests, conversation); found {
		u.interests[at].mark(passedBit)
	}
}

// adopt makes a conversation known that a scan has found and the interests do
// not hold: one that has ended, or has just begun.
func (in *inboxes) adopt(u *inboxUser, found store.Interest) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.interests.adopt(u, found)
}
