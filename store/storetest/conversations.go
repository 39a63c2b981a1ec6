package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdline/store"
)

func (s *suite) conversations(t *testing.T) {
	t.Run("as one member sees it", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, store.HistoryAll, "bob")
		c, err := w.store.Conversation(w.Context(), bob.UserID, group)
		w.must(err)
		if c.CreatedAt == 0 || c.LastMessage != nil {
			t.Errorf("conversation %+v", c)
		}
		equal(w, "conversation", c, store.Conversation{
			ID: group, Kind: store.KindGroup, Title: "a group", History: store.HistoryAll, CreatorID: ann.UserID,
			CreatedAt: c.CreatedAt, LastSeq: 1, FirstSeq: 1, Role: store.MemberRoleMember,
		})
		c, err = w.store.Conversation(w.Context(), ann.UserID, group)
		w.must(err)
		equal(w, "creator's role", c.Role, store.MemberRoleOwner)
	})

	t.Run("somebody else's is not there", func(t *testing.T) {
		w := s.world(t)
		ann, eve := w.user("ann"), w.user("eve")
		w.user("bob")
		for name, id := range map[string]store.ID{"existing": w.group(ann, "", "bob"), "missing": store.NewID()} {
			_, err := w.store.Conversation(w.Context(), eve.UserID, id)
			w.wants(store.CodeNotFound, err)
			_, err = w.store.Members(w.Context(), eve.UserID, id, 0, 10)
			w.wants(store.CodeNotFound, err)
			_, err = w.store.AddMembers(w.Context(), eve, id, []string{"eve"})
			w.wants(store.CodeNotFound, err)
			_, err = w.store.RemoveMember(w.Context(), eve, id, ann.UserID)
			w.wants(store.CodeNotFound, err)
			_, err = w.store.RemoveMember(w.Context(), eve, id, eve.UserID)
			w.wants(store.CodeNotFound, err)
			_, _, err = w.store.SetTitle(w.Context(), eve, id, "x")
			w.wants(store.CodeNotFound, err)
			_, err = w.store.Membership(w.Context(), id, eve.UserID)
			w.wants(store.CodeNotFound, err)
			_, err = w.store.EventsBefore(w.Context(), eve.UserID, id, 0, 10)
			w.wants(store.CodeNotFound, err)
			_, err = w.store.Messages(w.Context(), eve.UserID, id, 0, 0, 10)
			w.wants(store.CodeNotFound, err)
			_, err = w.store.Message(w.Context(), eve.UserID, id, 1)
			w.wants(store.CodeNotFound, err)
			_, err = w.store.Receipts(w.Context(), eve.UserID, id, 1)
			w.wants(store.CodeNotFound, err)
			_, _, err = w.store.Append(w.Context(), store.Send{Actor: eve, ConversationID: id, ClientID: "1", Text: "x"})
			w.wants(store.CodeNotFound, err)
			if t.Failed() {
				t.Fatalf("an %s conversation", name)
			}
		}
	})

	t.Run("listed by id, in pages", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		var want []store.ID
		for range 7 {
			want = append(want, w.group(ann, "", "bob"))
		}
		w.group(ann, "") // without bob
		left := w.group(ann, "", "bob")
		w.remove(bob, left, bob.UserID)
		slices.Sort(want)
		var got []store.ID
		for after := store.ID(0); ; {
			page, _, err := w.store.Conversations(w.Context(), bob.UserID, after, 3)
			w.must(err)
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				after = c.ID
				got = append(got, c.ID)
			}
		}
		equalSlices(w, "conversations", got, want)
	})

	t.Run("unread and last message", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		see := func(a store.Actor, unread, last int64) {
			t.Helper()
			c, err := w.store.Conversation(w.Context(), a.UserID, group)
			w.must(err)
			equal(w, "unread", c.Unread, unread)
			var seq int64
			if c.LastMessage != nil {
				seq = c.LastMessage.Seq
			}
			equal(w, "last message", seq, last)
		}
		see(bob, 0, 0)
		w.say(ann, group, "one")            // 2
		w.say(ann, group, "two")            // 3
		w.say(bob, group, "three")          // 4
		stored := w.say(ann, group, "four") // 5
		see(bob, 3, 5)
		see(ann, 1, 5)
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 3}}))
		see(bob, 1, 5)
		_, _, err := w.store.SetTitle(w.Context(), ann, group, "not a message") // 6
		w.must(err)
		see(bob, 1, 5)
		c, err := w.store.Conversation(w.Context(), bob.UserID, group)
		w.must(err)
		equal(w, "last message", *c.LastMessage, stored)
		equal(w, "read", c.ReadSeq, 3)
		equal(w, "delivered", c.DeliveredSeq, 3)
		equal(w, "last seq", c.LastSeq, 6)

		// Away from 8 to 10: what was said meanwhile is neither unread nor last.
		w.say(bob, group, "before leaving") // 7
		w.remove(ann, group, bob.UserID)    // 8
		w.say(ann, group, "unseen")         // 9
		w.add(ann, group, "bob")            // 10
		see(bob, 0, 7)
		w.say(ann, group, "welcome back") // 11
		see(bob, 1, 11)
		c, err = w.store.Conversation(w.Context(), bob.UserID, group)
		w.must(err)
		equal(w, "first seq", c.FirstSeq, 1)
	})

	t.Run("a list takes a fixed number of statements", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		for i := range 40 {
			w.say(ann, w.group(ann, "", "bob"), fmt.Sprint(i))
		}
		var page []store.Conversation
		statements := w.statements(func(ctx context.Context) {
			var err error
			page, _, err = w.store.Conversations(ctx, bob.UserID, 0, 100)
			w.must(err)
		})
		equal(w, "conversations", len(page), 40)
		for _, c := range page {
			if c.Unread != 1 || c.LastMessage == nil || c.LastMessage.ConversationID != c.ID || c.LastMessage.Seq != 2 {
				t.Fatalf("conversation %+v", c)
			}
		}
		if len(statements) > 3 {
			t.Errorf("%d statements for a page", len(statements))
		}
	})

	t.Run("a page ends where its last messages are long", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		long := strings.Repeat("é", store.MaxTextBytes/2)
		const whole = store.MaxPageBytes / store.MaxTextBytes // how many would fit if they were text alone
		var want []store.ID
		for range whole + 20 {
			group := w.group(ann, "")
			w.say(ann, group, long)
			want = append(want, group)
		}
		slices.Sort(want)
		var page []store.Conversation
		var more bool
		statements := w.statements(func(ctx context.Context) {
			var err error
			page, more, err = w.store.Conversations(ctx, ann.UserID, 0, len(want))
			w.must(err)
		})
		if n := len(page); !more || n >= whole || n < whole-2 {
			t.Errorf("%d conversations, more: %v", n, more)
		}
		if len(statements) > 3 {
			t.Errorf("%d statements for a page", len(statements))
		}
		rest, more, err := w.store.Conversations(w.Context(), ann.UserID, page[len(page)-1].ID, len(want))
		w.must(err)
		equal(w, "more behind the rest", more, false)
		var got []store.ID
		for _, c := range append(page, rest...) {
			got = append(got, c.ID)
			if c.LastMessage == nil || c.LastMessage.ConversationID != c.ID || c.LastMessage.Text != long {
				t.Fatalf("conversation %+v", c)
			}
		}
		equalSlices(w, "conversations", got, want)
		for limit, wantMore := range map[int]bool{len(rest) - 1: true, len(rest): false} {
			some, more, err := w.store.Conversations(w.Context(), ann.UserID, page[len(page)-1].ID, limit)
			w.must(err)
			equal(w, "conversations at the limit", len(some), limit)
			equal(w, "more at the limit", more, wantMore)
		}
	})

	t.Run("title", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		title := `a "new" <title> \ 🦉`
		e, changed, err := w.store.SetTitle(w.Context(), ann, group, title)
		w.must(err)
		if !changed || e.Type != store.EventTitle || e.Seq != 2 || e.SenderID != ann.UserID || e.AcceptedAt == 0 || e.Stamp == 0 {
			t.Errorf("event %+v", e)
		}
		equal(w, "title said", extra(t, e).Title, title)
		c, err := w.store.Conversation(w.Context(), bob.UserID, group)
		w.must(err)
		equal(w, "title", c.Title, title)
		equal(w, "last seq", c.LastSeq, 2)

		e, changed, err = w.store.SetTitle(w.Context(), ann, group, title)
		w.must(err)
		if changed || e != (store.Event{}) {
			t.Errorf("the same title made %+v", e)
		}
		_, changed, err = w.store.SetTitle(w.Context(), ann, group, "")
		w.must(err)
		equal(w, "emptied", changed, true)
		for _, bad := range []string{"a\x00b", "two\nlines", "\xff", strings.Repeat("é", 201)} {
			_, _, err = w.store.SetTitle(w.Context(), ann, group, bad)
			w.wantsField(store.CodeInvalid, "title", err)
		}
		_, _, err = w.store.SetTitle(w.Context(), ann, group, strings.Repeat("é", 200))
		w.must(err)
	})
}
