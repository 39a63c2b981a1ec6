package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdline/store"
)

// manyGroups makes n groups of the owner and others by a few statements.
func (w *world) manyGroups(n int, owner store.Actor, others ...store.Actor) []store.ID {
	w.Helper()
	members := append([]store.Actor{owner}, others...)
	var named []string
	for _, a := range members {
		named = append(named, `"`+a.UserID.String()+`"`)
	}
	var fed []store.Event
	ids := make([]store.ID, n)
	for i := range ids {
		ids[i] = store.NewID()
	}
	w.must(w.backend.Backend.Write(context.Background(), func(tx *store.Tx) error {
		next := make([]int64, len(members))
		for i, a := range members {
			if err := tx.Get(&next[i], `SELECT next_slot FROM users WHERE user_id = ?`+w.backend.ForUpdate(), a.UserID); err != nil {
				return err
			}
		}
		stamp, err := w.backend.Stamp(tx)
		if err != nil {
			return err
		}
		var conversations, events, stretches, memberships []string
		for i, id := range ids {
			conversations = append(conversations, fmt.Sprintf("(%d, 'group', '', 'joined', %d, 1, 1, 1, 1, %d)", id, owner.UserID, stamp))
			created := store.Event{
				ConversationID: id, Seq: 1, Type: store.EventCreated, SenderID: owner.UserID, AcceptedAt: 1, Stamp: stamp,
				Extra: `"kind":"group","title":"","members":[` + strings.Join(named, ",") + `]`,
			}
			fed = append(fed, created)
			events = append(events, fmt.Sprintf("(%d, 1, 'created', %d, 1, %d, '%s')", id, owner.UserID, stamp, created.Extra))
			for m, a := range members {
				role := store.MemberRoleMember
				if m == 0 {
					role = store.MemberRoleOwner
				}
				stretches = append(stretches, fmt.Sprintf("(%d, %d, 1, 1, '%s')", id, a.UserID, role))
				memberships = append(memberships, fmt.Sprintf("(%d, %d, %d, 1, '%s', %d)", a.UserID, id, next[m]+int64(i), role, stamp))
			}
		}
		for _, into := range []struct {
			table string
			rows  []string
		}{
			{`conversations (conversation_id, kind, title, history, creator_id, created_at, first_seq, last_seq, last_accepted_at, last_stamp)`, conversations},
			{`events (conversation_id, seq, type, sender_id, accepted_at, stamp, extra)`, events},
			{`members (conversation_id, user_id, from_seq, join_seq, role)`, stretches},
			{`memberships (user_id, conversation_id, slot, from_seq, role, stamp)`, memberships},
		} {
			for rows := range slices.Chunk(into.rows, 1000) {
				if _, err := tx.Exec(`INSERT INTO ` + into.table + ` VALUES ` + strings.Join(rows, ", ")); err != nil {
					return err
				}
			}
		}
		for _, a := range members {
			if _, err := tx.Exec(`UPDATE users SET next_slot = next_slot + ? WHERE user_id = ?`, n, a.UserID); err != nil {
				return err
			}
		}
		return nil
	}, func() {}))
	w.feed(fed)
	return ids
}

// inboxOfMany follows a thousand conversations.
func (s *suite) inboxOfMany(t *testing.T) {
	w := s.world(t)
	ann, bob := w.user("ann"), w.user("bob")
	h := &history{world: w}
	groups := w.manyGroups(1000, ann, bob)
	h.closedAt = w.closedStamp()

	interests, err := w.store.Interests(w.Context(), bob.UserID)
	w.must(err)
	equal(w, "interests", len(interests), 1000)
	heads, err := w.store.Heads(w.Context(), append([]store.ID{store.NewID()}, groups...))
	w.must(err)
	slices.SortFunc(heads, func(a, b store.Head) int {
		return slices.Index(groups, a.ConversationID) - slices.Index(groups, b.ConversationID)
	})
	for i, head := range heads {
		equal(w, "head", head, store.Head{ConversationID: groups[i], LastSeq: 1})
	}
	equal(w, "heads", len(heads), 1000)
	for _, limit := range []int{1, 100, 999, 1000, 1001} {
		all, pages := h.allMoved(bob.UserID, 0, limit)
		equal(w, "conversations from the start", len(all), 1000)
		equal(w, "pages", pages, (1000+limit-1)/limit)
		for i, m := range all {
			if m.Slot != int64(i+1) || m.ConversationID != groups[i] || m.At != 0 || len(m.Intervals) != 1 {
				t.Fatalf("conversation %d is %+v", i, m)
			}
		}
	}
	none, _ := h.allMoved(bob.UserID, h.closedAt, 100)
	equal(w, "moved when nothing was said", len(none), 0)

	acks := make(map[store.ID]int64)
	for i, id := range groups {
		if i%50 == 7 {
			w.say(ann, id, "moved")
			acks[id] = 2
		}
	}
	moved, pages := h.allMoved(bob.UserID, h.closedAt, 100)
	equal(w, "moved", len(moved), len(acks))
	equal(w, "pages of what moved", pages, 1)
	for _, m := range moved {
		if acks[m.ConversationID] != m.LastSeq || m.At != 1 {
			t.Errorf("moved: %+v", m)
		}
	}
	equal(w, "caught up in all", len(w.caughtUp(bob.UserID, whole(0, w.closedStamp()))), 1000)
	equal(w, "caught up in what moved", len(w.caughtUp(bob.UserID, whole(h.closedAt, w.closedStamp()))), len(acks))
	w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: acks}))
	all := make(map[store.ID]int64)
	for _, id := range groups {
		all[id] = 1
	}
	w.must(w.store.Ack(w.Context(), ann, store.Acks{Read: all}))
	for _, call := range []struct {
		name string
		run  func() ([]store.WatermarkMove, error)
	}{
		{"all watermarks", func() ([]store.WatermarkMove, error) { return w.store.WatermarksIn(w.Context(), groups) }},
		{"moves in all", func() ([]store.WatermarkMove, error) { return w.store.MovesIn(w.Context(), groups, h.closedAt) }},
		{"moves for bob", func() ([]store.WatermarkMove, error) { return w.store.MovesFor(w.Context(), bob.UserID, h.closedAt) }},
	} {
		moves, err := call.run()
		w.must(err)
		equal(w, call.name, len(moves), len(groups)+len(acks))
	}
}

// inboxOfLength finds places in a log whose ends are far apart.
func (s *suite) inboxOfLength(t *testing.T) {
	w := s.world(t)
	ann := w.user("ann")
	group := w.group(ann, "")
	ends, stamps := []int64{1, 2, 1000, 1128, 20_000}, make([]int64, 5)
	for i, end := range ends {
		if end > 1 {
			w.grow(group, ann, end)
		}
		stamps[i] = w.closedStamp()
	}
	for i, stamp := range stamps {
		at, err := w.store.PlaceAt(w.Context(), group, stamp)
		w.must(err)
		equal(w, fmt.Sprint("place at the stamp of ", ends[i]), at, ends[i])
	}
	const at = 1000
	for _, named := range []struct {
		seq   int64
		bits  int
		found int64 // 0: nothing
	}{
		{1001, 7, 1001}, {1127, 7, 1127}, {1128, 7, 1000}, {1129, 7, 1001}, {1129, 14, 1129}, {1128, 14, 1128},
		{1001 + 128, 8, 1129}, {at + 1<<14 - 1, 14, at + 1<<14 - 1}, {at + 1<<14, 14, at}, {at + 1<<14 + 1, 21, at + 1<<14 + 1},
		{20_000, 21, 20_000}, {20_001, 21, 0}, {at, 7, at}, {at, 21, at}, {0, 7, 1024}, {999, 7, 999 + 128},
	} {
		got, err := w.store.Places(w.Context(), ann.UserID, stamps[2],
			[]store.SlotPlace{{Slot: 1, Low: named.seq % (1 << named.bits), Bits: named.bits}})
		w.must(err)
		var found int64
		for _, p := range got {
			found = p.Seq
			equal(w, "conversation", p.ConversationID, group)
			equal(w, "past", p.Past, p.Seq-at)
			equal(w, "stamp", p.Stamp, w.number(`SELECT stamp FROM events WHERE conversation_id = ? AND seq = ?`, group, p.Seq))
		}
		equal(w, fmt.Sprintf("%d bits of %d", named.bits, named.seq), found, named.found)
	}
}

// inboxOfRemoved makes sure that nothing above a removal is found for who was removed.
func (s *suite) inboxOfRemoved(t *testing.T) {
	w := s.world(t)
	ann, bob := w.user("ann"), w.user("bob")
	group := w.group(ann, "", "bob")
	w.say(ann, group, "for bob") // 2
	before := w.closedStamp()
	w.say(ann, group, "for bob, too") // 3
	w.remove(ann, group, bob.UserID)  // 4
	removed := w.closedStamp()
	w.fill(ann, group, 9)
	w.must(w.store.Ack(w.Context(), ann, store.Acks{Read: map[store.ID]int64{group: 9}}))
	now := w.closedStamp()

	intervals := func(since int64) (all []store.Interval) {
		page, err := w.store.Moved(w.Context(), bob.UserID, since, 0, 10)
		w.must(err)
		for _, m := range page.Moved {
			all = append(all, m.Intervals...)
		}
		return all
	}
	interests, err := w.store.Interests(w.Context(), bob.UserID)
	w.must(err)
	equal(w, "interests", len(interests), 0)
	equalSlices(w, "from before the removal", intervals(before), []store.Interval{{FromSeq: 1, ToSeq: 4}})
	equalSlices(w, "from the removal on", intervals(removed), nil)
	moves, err := w.store.MovesFor(w.Context(), bob.UserID, 0)
	w.must(err)
	equal(w, "receipts", len(moves), 0)
	w.must(w.store.NoteCaughtUp(w.Context(), bob.UserID, whole(0, now)))

	w.add(ann, group, "bob") // 10
	w.say(ann, group, "for bob again")
	both := []store.Interval{{FromSeq: 1, ToSeq: 4}, {FromSeq: 10}}
	equalSlices(w, "from before the removal, once back", intervals(before), both)
	equalSlices(w, "from the removal on, once back", intervals(removed), both)
	interests, err = w.store.Interests(w.Context(), bob.UserID)
	w.must(err)
	equalSlices(w, "interests once back", interests, []store.Interest{{ConversationID: group, Slot: 1, FromSeq: 10}})
	w.remove(bob, group, bob.UserID) // 12
	w.say(ann, group, "not for bob")
	both[1].ToSeq = 12
	equalSlices(w, "once gone again", intervals(now), both)
	equalSlices(w, "when all is known", intervals(w.closedStamp()), nil)
}
