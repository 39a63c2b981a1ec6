package poller

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"holdline/store"
)

// Whatever users come, change and go, each side of the interests says what a
// plain map would, and what nobody names any more is not kept.
func TestInterestsAgainstPlainMaps(t *testing.T) {
	const users, conversations = 12, 40
	r := rand.New(rand.NewPCG(1, 2))
	var kept interests
	kept.init()
	people := map[store.ID]*inboxUser{}
	plain := map[store.ID]map[store.ID]interest{}
	for step := range 3000 {
		id := store.ID(1 + r.IntN(users))
		u := people[id]
		switch {
		case u == nil:
			u = &inboxUser{id: id}
			kept.enter(u)
			people[id], plain[id] = u, map[store.ID]interest{}
		case r.IntN(12) == 0:
			kept.leave(u)
			delete(people, id)
			delete(plain, id)
			continue
		}
		if r.IntN(3) == 0 {
			c := store.Interest{ConversationID: store.ID(1 + r.IntN(conversations)), Slot: 7, FromSeq: 9}
			if err := kept.adopt(u, c); err != nil {
				t.Fatal(err)
			}
			if _, known := plain[id][c.ConversationID]; !known {
				plain[id][c.ConversationID] = interest{conversation: c.ConversationID, from: 9, slot: 7, over: true}
			}
			continue
		}
		var found []store.Interest
		now := map[store.ID]interest{}
		for c := store.ID(1); c <= conversations; c++ {
			if r.IntN(3) == 0 {
				i := store.Interest{ConversationID: c, Slot: int64(r.IntN(1 << slotBits)), FromSeq: r.Int64N(1 << fromBits)}
				found = append(found, i)
				now[c] = interest{conversation: c, from: i.FromSeq, slot: int32(i.Slot), passed: plain[id][c].passed}
			}
		}
		for c, old := range plain[id] {
			if _, still := now[c]; !still {
				old.over = true
				now[c] = old
			}
		}
		if err := kept.replace(u, found, nil); err != nil {
			t.Fatal(err)
		}
		plain[id] = now
		if at, known := kept.find(u.interests, store.ID(1+r.IntN(conversations))); known && r.IntN(2) == 0 {
			u.interests[at].mark(passedBit)
			c := kept.all[u.interests[at].number].conversation
			passed := now[c]
			passed.passed = true
			now[c] = passed
		}
		if step%50 == 0 {
			compareInterests(t, &kept, people, plain, conversations)
		}
	}
	for _, u := range people {
		kept.leave(u)
	}
	if len(kept.byID) != 0 || len(kept.unused) != len(kept.all) || len(kept.unusedUser) != len(kept.people) {
		t.Errorf("with everybody gone %d conversations are known, %d of %d numbers unused, and %d of %d users'",
			len(kept.byID), len(kept.unused), len(kept.all), len(kept.unusedUser), len(kept.people))
	}
}

func compareInterests(t *testing.T, kept *interests, people map[store.ID]*inboxUser, plain map[store.ID]map[store.ID]interest, conversations store.ID) {
	t.Helper()
	for c := store.ID(1); c <= conversations; c++ {
		var want, got []store.ID
		for id, u := range people {
			should, known := plain[id][c]
			is, found := kept.of(u, c)
			if found != known || is != should {
				t.Fatalf("user %d, conversation %d: %+v (%v), want %+v (%v)", id, c, is, found, should, known)
			}
			if known && !should.over {
				want = append(want, id)
			}
		}
		for _, number := range kept.followers(c) {
			got = append(got, kept.people[number].id)
		}
		slices.SortFunc(want, cmp.Compare)
		slices.SortFunc(got, cmp.Compare)
		if !slices.Equal(got, want) {
			t.Fatalf("conversation %d is followed by %v, want %v", c, got, want)
		}
	}
}

// What does not fit is refused, and leaves everything as it was.
func TestInterestTooLarge(t *testing.T) {
	var kept interests
	kept.init()
	u := &inboxUser{id: 1}
	kept.enter(u)
	fits := store.Interest{ConversationID: 5, Slot: 1<<slotBits - 1, FromSeq: 1<<fromBits - 1}
	if err := kept.replace(u, []store.Interest{fits}, nil); err != nil {
		t.Fatal(err)
	}
	for _, large := range []store.Interest{
		{ConversationID: 6, Slot: 1 << slotBits, FromSeq: 1}, {ConversationID: 6, Slot: 1, FromSeq: 1 << fromBits},
	} {
		if err := kept.replace(u, []store.Interest{fits, large}, nil); !errors.Is(err, errInterestTooLarge) {
			t.Errorf("%+v: %v", large, err)
		}
		if err := kept.adopt(u, large); !errors.Is(err, errInterestTooLarge) {
			t.Errorf("%+v: %v", large, err)
		}
	}
	if is, ok := kept.of(u, 5); !ok || is.from != fits.FromSeq || int64(is.slot) != fits.Slot || kept.all[0].named != 1 || len(kept.byID) != 1 {
		t.Errorf("left is %+v (%v), named %d times, of %d", is, ok, kept.all[0].named, len(kept.byID))
	}
}
