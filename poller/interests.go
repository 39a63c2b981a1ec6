package poller

import (
	"cmp"
	"fmt"
	"slices"

	"holdline/store"
)

// interests are who follows what: of each user the conversations of their
// inbox, and of each conversation the users who are in it. They are most of
// what an idle inbox costs, 16 bytes for each of its conversations, so that both
// sides name each other by small numbers. inboxes.mu guards them.
type interests struct {
	byID   map[store.ID]uint32 // numbers of conversations
	all    []followed          // by number
	unused []uint32            // numbers of conversations that nobody follows

	people     []*inboxUser // by number
	unusedUser []uint32
}

// followed is a conversation that somebody's inbox follows.
type followed struct {
	conversation store.ID
	followers    []uint32 // who is in it now
	named        int32    // how many interests name it, ended ones too
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

// packedInterest is an interest as it is kept: the conversation's number, and
// 40 bits of from, 22 of slot, and one each of over and passed.
type packedInterest struct{ number, low, high uint32 }

const (
	fromBits, slotBits = 40, 22
	overBit            = 1 << (fromBits + slotBits)
	passedBit          = overBit << 1
)

// errInterestTooLarge says what an interest can hold: a trillion events of one
// conversation, and four million conversations of one user.
var errInterestTooLarge = fmt.Errorf("an inbox holds no conversation from seq 2^%d on, and no more than 2^%d of them", fromBits, slotBits)

// pack names a conversation for an interest that begins.
func (t *interests) pack(i store.Interest) (p packedInterest, err error) {
	if i.FromSeq < 0 || i.FromSeq >= 1<<fromBits || i.Slot < 0 || i.Slot >= 1<<slotBits {
		return p, fmt.Errorf("conversation %d, seq %d, slot %d: %w", i.ConversationID, i.FromSeq, i.Slot, errInterestTooLarge)
	}
	p.number = t.name(i.ConversationID)
	p.set(uint64(i.FromSeq) | uint64(i.Slot)<<fromBits)
	return p, nil
}

func (p *packedInterest) bits() uint64 { return uint64(p.low) | uint64(p.high)<<32 }

func (p *packedInterest) set(bits uint64) { p.low, p.high = uint32(bits), uint32(bits>>32) }

func (p *packedInterest) is(bit uint64) bool { return p.bits()&bit != 0 }

func (p *packedInterest) mark(bit uint64) { p.set(p.bits() | bit) }

// init begins without conversations. The users keep their numbers.
func (t *interests) init() {
	t.byID = make(map[store.ID]uint32)
	t.all, t.unused = nil, nil
}

// enter gives a user a number.
func (t *interests) enter(u *inboxUser) {
	if last := len(t.unusedUser) - 1; last >= 0 {
		u.number = t.unusedUser[last]
		t.unusedUser = t.unusedUser[:last]
		t.people[u.number] = u
		return
	}
	u.number = uint32(len(t.people))
	t.people = append(t.people, u)
}

// leave forgets users. All of a large group can leave together, when a network
// is gone: each conversation is looked through once for all of them, since the
// store's writer waits meanwhile.
func (t *interests) leave(users ...*inboxUser) {
	left := make(map[uint32]struct{})
	for _, u := range users {
		t.people[u.number] = nil
		for n := range u.interests {
			if it := &u.interests[n]; !it.is(overBit) {
				left[it.number] = struct{}{}
			}
		}
	}
	for number := range left {
		f := &t.all[number]
		f.followers = slices.DeleteFunc(f.followers, func(user uint32) bool { return t.people[user] == nil })
	}
	for _, u := range users {
		for n := range u.interests {
			t.unname(u.interests[n].number)
		}
		u.interests = nil
		t.unusedUser = append(t.unusedUser, u.number)
	}
}

// followers returns the numbers of those who are in a conversation and follow
// their inbox.
func (t *interests) followers(conversation store.ID) []uint32 {
	if number, ok := t.byID[conversation]; ok {
		return t.all[number].followers
	}
	return nil
}

// name returns the number of a conversation for one interest more.
func (t *interests) name(conversation store.ID) uint32 {
	number, ok := t.byID[conversation]
	if !ok {
		if last := len(t.unused) - 1; last >= 0 {
			number = t.unused[last]
			t.unused = t.unused[:last]
		} else {
			number = uint32(len(t.all))
			t.all = append(t.all, followed{})
		}
		t.byID[conversation] = number
		t.all[number].conversation = conversation
	}
	t.all[number].named++
	return number
}

// unname is the end of an interest.
func (t *interests) unname(number uint32) {
	f := &t.all[number]
	if f.named--; f.named == 0 {
		delete(t.byID, f.conversation)
		*f = followed{}
		t.unused = append(t.unused, number)
	}
}

func (t *interests) add(number uint32, u *inboxUser) {
	f := &t.all[number]
	f.followers = append(f.followers, u.number)
}

func (t *interests) remove(number uint32, u *inboxUser) {
	f := &t.all[number]
	f.followers = slices.DeleteFunc(f.followers, func(other uint32) bool { return other == u.number })
}

func (t *interests) find(all []packedInterest, conversation store.ID) (at int, found bool) {
	return slices.BinarySearchFunc(all, conversation, func(p packedInterest, id store.ID) int {
		return cmp.Compare(t.all[p.number].conversation, id)
	})
}

// of returns a user's interest in a conversation, an ended one too.
func (t *interests) of(u *inboxUser, conversation store.ID) (interest, bool) {
	at, found := t.find(u.interests, conversation)
	if !found {
		return interest{}, false
	}
	p := &u.interests[at]
	bits := p.bits()
	return interest{
		conversation: conversation, over: p.is(overBit), passed: p.is(passedBit),
		from: int64(bits & (1<<fromBits - 1)), slot: int32(bits >> fromBits & (1<<slotBits - 1)),
	}, true
}

// replace puts what was found in the place of a user's interests, and keeps the
// ended ones for the inboxes that have not read so far. What was found knows the
// ends that had been passed before.
func (t *interests) replace(u *inboxUser, found []store.Interest, passed map[store.ID]bool) error {
	fresh := make([]packedInterest, 0, len(found))
	for _, f := range found {
		p, err := t.pack(f)
		if err != nil {
			for _, p := range fresh {
				t.unname(p.number)
			}
			return err
		}
		fresh = append(fresh, p)
	}
	for _, old := range u.interests {
		conversation := t.all[old.number].conversation
		at, still := t.find(fresh, conversation)
		if still {
			if old.is(passedBit) && !passed[conversation] {
				fresh[at].mark(passedBit)
			}
			t.unname(old.number)
			continue
		}
		if !old.is(overBit) {
			t.remove(old.number, u)
			old.mark(overBit)
		}
		fresh = slices.Insert(fresh, at, old)
	}
	for n := range fresh {
		it := &fresh[n]
		if it.is(overBit) {
			continue
		}
		at, known := t.find(u.interests, t.all[it.number].conversation)
		if !known || u.interests[at].is(overBit) {
			t.add(it.number, u)
		}
	}
	u.interests = fresh
	return nil
}

// adopt makes a conversation known that a user's interests do not hold.
func (t *interests) adopt(u *inboxUser, found store.Interest) error {
	at, known := t.find(u.interests, found.ConversationID)
	if known {
		return nil
	}
	p, err := t.pack(found)
	if err != nil {
		return err
	}
	p.mark(overBit)
	u.interests = slices.Insert(u.interests, at, p)
	return nil
}
