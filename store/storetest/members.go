package storetest

import (
	"errors"
	"strings"
	"testing"

	"holdline/store"
)

var errRolledBack = errors.New("rolled back on purpose")

func lower(id store.ID) string { return strings.ToLower(id.String()) }

func (s *suite) members(t *testing.T) {
	t.Run("added, removed, added again", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, store.HistoryJoined)
		w.say(ann, group, "before")        // 2
		events := w.add(ann, group, "bob") // 3
		equal(w, "events", len(events), 1)
		e := events[0]
		if e.Seq != 3 || e.Type != store.EventMember || e.SenderID != ann.UserID || e.SubjectID != bob.UserID || e.Action != store.MemberAdded || e.Ends(bob.UserID) {
			t.Errorf("event %+v", e)
		}
		w.wantsIntervals(group, bob, store.MemberRoleMember, store.Interval{FromSeq: 3})
		w.say(bob, group, "while a member")       // 4
		events = w.remove(ann, group, bob.UserID) // 5
		equal(w, "removal ends", events[0].Ends(bob.UserID), true)
		equal(w, "removal", events[0].Action, store.MemberRemoved)
		w.wantsIntervals(group, bob, "", store.Interval{FromSeq: 3, ToSeq: 5})
		w.wantsOutside(group, bob)

		w.say(ann, group, "without bob") // 6
		w.add(ann, group, "bob")         // 7
		w.wantsIntervals(group, bob, store.MemberRoleMember, store.Interval{FromSeq: 3, ToSeq: 5}, store.Interval{FromSeq: 7})
		events = w.remove(bob, group, bob.UserID) // 8
		equal(w, "leaving", events[0].Action, store.MemberLeft)
		equal(w, "leaving ends", events[0].Ends(bob.UserID), true)
		w.wantsIntervals(group, bob, "", store.Interval{FromSeq: 3, ToSeq: 5}, store.Interval{FromSeq: 7, ToSeq: 8})
	})

	t.Run("with history for all", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, store.HistoryAll)
		w.say(ann, group, "before") // 2
		w.add(ann, group, "bob")    // 3
		w.wantsIntervals(group, bob, store.MemberRoleMember, store.Interval{FromSeq: 1})
		members, err := w.store.Members(w.Context(), ann.UserID, group, 0, 10)
		w.must(err)
		for _, m := range members {
			want := int64(1)
			if m.ID == bob.UserID {
				want = 3
			}
			equal(w, "joined at", m.FromSeq, want)
		}
		w.remove(ann, group, bob.UserID) // 4
		w.say(ann, group, "without bob") // 5
		w.add(ann, group, "bob")         // 6
		w.wantsIntervals(group, bob, store.MemberRoleMember, store.Interval{FromSeq: 1, ToSeq: 4}, store.Interval{FromSeq: 5})
	})

	t.Run("several at once", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo, dora := w.user("ann"), w.user("bob"), w.user("cleo"), w.user("dora")
		group := w.group(ann, "", "bob")
		events := w.add(ann, group, "dora", "bob", "ann", "cleo", "dora")
		equal(w, "events", len(events), 2)
		subjects := map[store.ID]int64{}
		for _, e := range events {
			subjects[e.SubjectID] = e.Seq
		}
		for _, a := range []store.Actor{cleo, dora} {
			w.wantsIntervals(group, a, store.MemberRoleMember, store.Interval{FromSeq: subjects[a.UserID]})
		}
		w.wantsIntervals(group, bob, store.MemberRoleMember, store.Interval{FromSeq: 1})
		equal(w, "all members already", len(w.add(ann, group, "dora", "bob")), 0)
		last, err := w.store.LastSeq(w.Context(), group)
		w.must(err)
		equal(w, "last seq", last, 3)
	})

	t.Run("all or none", func(t *testing.T) {
		w := s.world(t)
		ann, dora := w.user("ann"), w.user("dora")
		w.user("bob")
		group := w.group(ann, "")
		w.must(w.store.DisableUser(w.Context(), dora.UserID))
		for _, handles := range [][]string{{"bob", "nobody"}, {"bob", "dora"}, {"bob", "No\x00"}} {
			_, err := w.store.AddMembers(w.Context(), ann, group, handles)
			w.wantsField(store.CodeUnknownMember, "members", err)
		}
		for _, handles := range [][]string{nil, make([]string, 1001)} {
			_, err := w.store.AddMembers(w.Context(), ann, group, handles)
			w.wantsField(store.CodeInvalid, "members", err)
		}
		last, err := w.store.LastSeq(w.Context(), group)
		w.must(err)
		equal(w, "last seq", last, 1)
		events := w.add(ann, group, w.crowd(store.MaxMembersAtOnce)...)
		equal(w, "events", len(events), store.MaxMembersAtOnce)
	})

	t.Run("slots are kept for ever", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		slot := func(group store.ID) int64 {
			return w.number(`SELECT slot FROM memberships WHERE user_id = ? AND conversation_id = ?`, bob.UserID, group)
		}
		first, second := w.group(ann, "", "bob"), w.group(ann, "")
		w.add(ann, second, "bob")
		equal(w, "first slot", slot(first), 1)
		equal(w, "second slot", slot(second), 2)
		w.remove(ann, first, bob.UserID)
		third := w.group(bob, "")
		equal(w, "third slot", slot(third), 3)
		w.add(ann, first, "bob")
		equal(w, "first slot after rejoining", slot(first), 1)
	})

	t.Run("time never falls", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		w.user("bob")
		group := w.group(ann, "")
		before := w.say(ann, group, "now")
		w.back.Store(3600e9)
		added := w.add(ann, group, "bob")
		if added[0].AcceptedAt < before.AcceptedAt {
			t.Errorf("accepted_at went from %d to %d", before.AcceptedAt, added[0].AcceptedAt)
		}
	})

	t.Run("what the feed gets", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "")
		w.say(ann, group, "x")
		w.add(ann, group, "bob")
		w.remove(ann, group, bob.UserID)
		w.mu.Lock()
		defer w.mu.Unlock()
		equal(w, "fed before the answers", seqs(w.fed[group]), "1:created 2:message 3:member 4:member")
	})
}

func (w *world) wantsIntervals(conversation store.ID, a store.Actor, role string, want ...store.Interval) {
	w.Helper()
	m, err := w.store.Membership(w.Context(), conversation, a.UserID)
	w.must(err)
	equalSlices(w, "intervals", m.Intervals, want)
	equal(w, "role", m.Role, role)
	equal(w, "current", m.Current(), want[len(want)-1].ToSeq == 0)
}

// wantsOutside makes sure that somebody who was a member can do nothing any more.
func (w *world) wantsOutside(conversation store.ID, a store.Actor) {
	w.Helper()
	_, err := w.store.Conversation(w.Context(), a.UserID, conversation)
	w.wants(store.CodeNotFound, err)
	_, err = w.store.Members(w.Context(), a.UserID, conversation, 0, 10)
	w.wants(store.CodeNotFound, err)
	_, err = w.store.EventsBefore(w.Context(), a.UserID, conversation, 0, 10)
	w.wants(store.CodeNotFound, err)
	_, err = w.store.Messages(w.Context(), a.UserID, conversation, 0, 0, 10)
	w.wants(store.CodeNotFound, err)
	_, err = w.store.Receipts(w.Context(), a.UserID, conversation, 2)
	w.wants(store.CodeNotFound, err)
	_, _, err = w.store.Append(w.Context(), store.Send{Actor: a, ConversationID: conversation, ClientID: "outside", Text: "x"})
	w.wants(store.CodeNotFound, err)
	_, err = w.store.AddMembers(w.Context(), a, conversation, []string{"ann"})
	w.wants(store.CodeNotFound, err)
	_, err = w.store.RemoveMember(w.Context(), a, conversation, a.UserID)
	w.wants(store.CodeNotFound, err)
	_, _, err = w.store.SetTitle(w.Context(), a, conversation, "x")
	w.wants(store.CodeNotFound, err)
}
