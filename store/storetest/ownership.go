package storetest

import (
	"testing"

	"holdline/store"
)

func (s *suite) ownership(t *testing.T) {
	leave := func(w *world, a store.Actor, group store.ID, heir store.ID) {
		w.Helper()
		events := w.remove(a, group, a.UserID)
		if heir == 0 {
			equal(w, "events", len(events), 1)
			return
		}
		if len(events) != 2 {
			w.Fatalf("events %+v", events)
		}
		role, left := events[0], events[1]
		if role.Type != store.EventMember || role.Action != store.MemberRole || role.SubjectID != heir || extra(w.T, role).Role != store.MemberRoleOwner {
			w.Errorf("the first event is %+v, not that %s became owner", role, heir)
		}
		if left.Action != store.MemberLeft || left.SubjectID != a.UserID || left.Seq != role.Seq+1 {
			w.Errorf("the second event is %+v, not that %s left", left, a.UserID)
		}
		m, err := w.store.Membership(w.Context(), group, heir)
		w.must(err)
		equal(w, "the heir's role", m.Role, store.MemberRoleOwner)
	}

	t.Run("passes to the oldest member", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo, dora := w.user("ann"), w.user("bob"), w.user("cleo"), w.user("dora")
		group := w.group(ann, store.HistoryAll) // where from_seq does not tell who came first
		for _, handle := range []string{"dora", "bob", "cleo"} {
			w.add(ann, group, handle)
		}
		w.remove(ann, group, dora.UserID)
		w.add(ann, group, "dora") // who comes back is young again
		leave(w, ann, group, bob.UserID)
		leave(w, bob, group, cleo.UserID)
		leave(w, cleo, group, dora.UserID)
		leave(w, dora, group, 0)
		equal(w, "members", w.number(`SELECT COUNT(*) FROM members WHERE conversation_id = ? AND to_seq = 0`, group), 0)
	})

	t.Run("passes to an admin first", func(t *testing.T) {
		w := s.world(t)
		ann, cleo := w.user("ann"), w.user("cleo")
		w.user("bob")
		group := w.group(ann, "", "bob")
		w.add(ann, group, "cleo")
		w.promote(group, ann, cleo)
		leave(w, ann, group, cleo.UserID)
	})

	t.Run("passes over disabled accounts", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo := w.user("ann"), w.user("bob"), w.user("cleo")
		group := w.group(ann, "", "bob")
		w.add(ann, group, "cleo")
		w.must(w.store.DisableUser(w.Context(), bob.UserID))
		leave(w, ann, group, cleo.UserID)
		leave(w, cleo, group, bob.UserID) // unless there is nobody else
	})
}

func (s *suite) permission(t *testing.T) {
	w := s.world(t)
	ann, ada, abe, bob, cleo := w.user("ann"), w.user("ada"), w.user("abe"), w.user("bob"), w.user("cleo")
	w.user("dora")
	group := w.group(ann, "", "ada", "abe", "bob", "cleo")
	w.promote(group, ann, ada)
	w.promote(group, ann, abe)
	forbidden := func(err error) {
		t.Helper()
		w.wants(store.CodeForbidden, err)
	}
	_, err := w.store.AddMembers(w.Context(), bob, group, []string{"dora"})
	forbidden(err)
	_, _, err = w.store.SetTitle(w.Context(), bob, group, "x")
	forbidden(err)
	for _, other := range []store.Actor{cleo, ada, ann} {
		_, err = w.store.RemoveMember(w.Context(), bob, group, other.UserID)
		forbidden(err)
	}
	for _, other := range []store.Actor{abe, ann} {
		_, err = w.store.RemoveMember(w.Context(), ada, group, other.UserID)
		forbidden(err)
	}
	_, err = w.store.RemoveMember(w.Context(), ada, group, w.id("dora"))
	w.wants(store.CodeNotFound, err)
	_, err = w.store.RemoveMember(w.Context(), ada, group, store.NewID())
	w.wants(store.CodeNotFound, err)

	w.add(ada, group, "dora")
	_, _, err = w.store.SetTitle(w.Context(), ada, group, "by an admin")
	w.must(err)
	w.remove(ada, group, bob.UserID)
	w.remove(ann, group, abe.UserID)
	w.remove(cleo, group, cleo.UserID)
	w.remove(ada, group, ada.UserID)
	w.add(ann, group, "ada")
	w.wantsIntervals(group, ada, store.MemberRoleMember, store.Interval{FromSeq: 1, ToSeq: 9}, store.Interval{FromSeq: 10})
}

// promote makes a member an admin, by raw SQL and the event that says so.
func (w *world) promote(group store.ID, owner, member store.Actor) {
	w.Helper()
	e := store.Event{
		ConversationID: group, Type: store.EventMember, SenderID: owner.UserID, SubjectID: member.UserID,
		Action: store.MemberRole, Extra: `"role":"admin"`,
	}
	w.must(w.backend.Backend.Write(w.Context(), func(tx *store.Tx) error {
		row := struct {
			Seq int64        `db:"seq"`
			At  store.Millis `db:"at"`
		}{}
		err := tx.Get(&row, `SELECT last_seq + 1 AS seq, last_accepted_at AS at FROM conversations
			WHERE conversation_id = ?`+w.backend.ForUpdate(), group)
		if err != nil {
			return err
		}
		e.Seq, e.AcceptedAt = row.Seq, row.At
		if e.Stamp, err = w.backend.Stamp(tx); err != nil {
			return err
		}
		for _, step := range []struct {
			query string
			args  []any
		}{
			{`INSERT INTO events (conversation_id, seq, type, sender_id, subject_id, action, accepted_at, stamp, extra)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, []any{group, e.Seq, e.Type, e.SenderID, e.SubjectID, e.Action, e.AcceptedAt, e.Stamp, e.Extra}},
			{`UPDATE conversations SET last_seq = ?, last_stamp = ? WHERE conversation_id = ?`, []any{e.Seq, e.Stamp, group}},
			{`UPDATE members SET role = 'admin' WHERE conversation_id = ? AND user_id = ? AND to_seq = 0`, []any{group, member.UserID}},
			{`UPDATE memberships SET role = 'admin', stamp = ? WHERE conversation_id = ? AND user_id = ?`, []any{e.Stamp, group, member.UserID}},
		} {
			if _, err := tx.Exec(step.query, step.args...); err != nil {
				return err
			}
		}
		return nil
	}, func() { w.feed([]store.Event{e}) }))
}
