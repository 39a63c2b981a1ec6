package store

import (
	"context"
	"database/sql"
	"errors"
)

// Member is one person in a conversation.
type Member struct {
	User
	MemberRole string `db:"member_role"`
	FromSeq    int64  `db:"from_seq"` // the seq of their joining
}

// Members lists current members by user id, those after the id `after`, at most limit. CodeNotFound.
func (s *Store) Members(ctx context.Context, viewer, id, after ID, limit int) ([]Member, error) {
	var members []Member
	err := s.backend.Read(ctx, func(tx *Tx) error {
		members = nil
		if _, err := currentRole(tx, id, viewer); err != nil {
			return noRowsIs(err, errNoConversation)
		}
		return tx.Select(&members, `SELECT `+userColumns+`, m.role AS member_role, m.join_seq AS from_seq
			FROM members m JOIN users u ON u.user_id = m.user_id
			WHERE m.conversation_id = ? AND m.user_id > ? AND m.to_seq = 0 ORDER BY m.user_id LIMIT ?`, id, after, limit)
	})
	return members, err
}

// AddMembers adds people to a group, one member event each; who is a member
// already is passed over. CodeNotFound, CodeForbidden, CodeConflict (direct),
// CodeUnknownMember, CodeInvalid, CodeUnauthorized.
func (s *Store) AddMembers(ctx context.Context, a Actor, id ID, handles []string) ([]Event, error) {
	handles, err := normalHandles(handles)
	if err != nil {
		return nil, err
	}
	if len(handles) == 0 {
		return nil, invalid("members", "must name at least one person")
	}
	var events []Event
	err = s.write(ctx, func(tx *Tx) ([]Event, error) {
		events = nil
		c, _, err := s.lockForChange(tx, a, id, true)
		if err != nil {
			return nil, err
		}
		ids, err := findAccounts(tx, handles)
		if err != nil {
			return nil, err
		}
		joining, err := s.lockJoining(tx, c, ids)
		if err != nil || len(joining) == 0 {
			return nil, err
		}
		ch, err := s.newChange(tx, c)
		if err != nil {
			return nil, err
		}
		for i := range joining {
			j := &joining[i]
			j.joinSeq = ch.add(Event{Type: EventMember, SenderID: a.UserID, SubjectID: j.account.ID, Action: MemberAdded})
			j.fromSeq = j.joinSeq
			if c.History == HistoryAll {
				j.fromSeq = j.previousTo + 1
			}
		}
		if err := ch.store(tx); err != nil {
			return nil, err
		}
		events = ch.events
		return events, ch.join(tx, joining)
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// joining is an account on its way into a conversation.
type joining struct {
	account    account
	slot       int64
	returning  bool  // was a member before and keeps their slot
	previousTo int64 // the end of the last stretch, 0 if there was none
	role       string
	joinSeq    int64
	fromSeq    int64
}

// lockJoining locks the accounts of those among ids who are not members now,
// and tells each one's slot and last stretch. CodeUnknownMember for a disabled account.
func (s *Store) lockJoining(tx *Tx, c *lockedConversation, ids []ID) ([]joining, error) {
	type stretch struct {
		UserID ID    `db:"user_id"`
		Slot   int64 `db:"slot"`
		ToSeq  int64 `db:"to_seq"`
	}
	// The conversation's lock keeps these as they are.
	rows, err := selectIn[stretch](tx, `SELECT user_id, slot, to_seq FROM memberships
		WHERE user_id IN (?) AND conversation_id = ?`, ids, c.ID)
	if err != nil {
		return nil, err
	}
	known := make(map[ID]stretch, len(rows))
	for _, r := range rows {
		known[r.UserID] = r
	}
	var outside []ID
	for _, id := range ids {
		if r, ok := known[id]; !ok || r.ToSeq != 0 {
			outside = append(outside, id)
		}
	}
	accounts, err := s.lockAccounts(tx, outside)
	if err != nil {
		return nil, err
	}
	if err := refuseDisabled(accounts); err != nil {
		return nil, err
	}
	all := make([]joining, len(accounts))
	for i, a := range accounts {
		all[i] = joining{account: a, slot: a.NextSlot, role: MemberRoleMember}
		if r, ok := known[a.ID]; ok {
			all[i].slot, all[i].returning, all[i].previousTo = r.Slot, true, r.ToSeq
		}
	}
	return all, nil
}

// join begins a stretch of membership for each, in both tables, and takes the
// slots that were given. The accounts' rows are locked.
func (ch *change) join(tx *Tx, all []joining) error {
	stretches, memberships := make([][]any, len(all)), make([][]any, len(all))
	var slotted []ID
	for i, j := range all {
		stretches[i] = []any{ch.conversation.ID, j.account.ID, j.fromSeq, j.joinSeq, j.role}
		memberships[i] = []any{j.account.ID, ch.conversation.ID, j.slot, j.fromSeq, j.role, ch.stamp}
		if !j.returning {
			slotted = append(slotted, j.account.ID)
		}
	}
	if err := insertRows(tx, `INSERT INTO members (conversation_id, user_id, from_seq, join_seq, role)`, stretches, ``); err != nil {
		return err
	}
	if err := insertRows(tx, `INSERT INTO memberships (user_id, conversation_id, slot, from_seq, role, stamp)`, memberships,
		`ON CONFLICT (user_id, conversation_id) DO UPDATE
			SET from_seq = excluded.from_seq, to_seq = 0, role = excluded.role, stamp = excluded.stamp`); err != nil {
		return err
	}
	if len(slotted) == 0 {
		return nil
	}
	query, args, err := tx.In(`UPDATE users SET next_slot = next_slot + 1 WHERE user_id IN (?)`, slotted)
	if err != nil {
		return err
	}
	_, err = tx.Exec(query, args...)
	return err
}

// RemoveMember removes a person, or lets the actor leave. An owner who leaves
// passes ownership on, by an event of its own before the removal. The owner
// may remove anybody, admins may remove members. CodeNotFound (also: that
// person is not a member), CodeForbidden, CodeConflict (direct), CodeUnauthorized.
func (s *Store) RemoveMember(ctx context.Context, a Actor, id, user ID) ([]Event, error) {
	var events []Event
	err := s.write(ctx, func(tx *Tx) ([]Event, error) {
		events = nil
		leaving := user == a.UserID
		c, actorRole, err := s.lockForChange(tx, a, id, !leaving)
		if err != nil {
			return nil, err
		}
		role, err := currentRole(tx, id, user)
		if err != nil {
			return nil, noRowsIs(err, Errorf(CodeNotFound, "that person is not a member of this conversation"))
		}
		if !leaving && actorRole != MemberRoleOwner && role != MemberRoleMember {
			return nil, Errorf(CodeForbidden, "only the owner of this conversation may remove an admin, and nobody its owner")
		}
		var heir ID
		if role == MemberRoleOwner {
			if heir, err = findHeir(tx, id, user); err != nil {
				return nil, err
			}
		}
		ch, err := s.newChange(tx, c)
		if err != nil {
			return nil, err
		}
		if heir != 0 {
			if err := ch.passOwnership(tx, user, heir); err != nil {
				return nil, err
			}
		}
		action := MemberRemoved
		if leaving {
			action = MemberLeft
		}
		end := ch.add(Event{Type: EventMember, SenderID: a.UserID, SubjectID: user, Action: action})
		if err := ch.store(tx); err != nil {
			return nil, err
		}
		events = ch.events
		return events, ch.update(tx, user, `to_seq = ?`, end)
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// findHeir returns who owns the conversation when its owner leaves: the oldest
// admin, else the oldest member; somebody whose account is disabled only when
// there is nobody else; 0 when nobody stays.
func findHeir(tx *Tx, conversation, owner ID) (ID, error) {
	var heir ID
	err := tx.Get(&heir, `SELECT m.user_id FROM members m JOIN users u ON u.user_id = m.user_id
		WHERE m.conversation_id = ? AND m.to_seq = 0 AND m.user_id <> ?
		ORDER BY CASE WHEN u.disabled_at = 0 AND u.deleted_at = 0 THEN 0 ELSE 1 END,
			CASE WHEN m.role = 'admin' THEN 0 ELSE 1 END, m.join_seq, m.user_id LIMIT 1`, conversation, owner)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return heir, err
}

// passOwnership makes heir the owner, which is an event, and the old owner a member.
func (ch *change) passOwnership(tx *Tx, owner, heir ID) error {
	ch.add(Event{
		Type: EventMember, SenderID: owner, SubjectID: heir, Action: MemberRole,
		Extra: `"role":"` + MemberRoleOwner + `"`,
	})
	if err := ch.update(tx, owner, `role = ?`, MemberRoleMember); err != nil {
		return err
	}
	return ch.update(tx, heir, `role = ?`, MemberRoleOwner)
}

// update changes a current member in both tables.
func (ch *change) update(tx *Tx, user ID, set string, value any) error {
	_, err := tx.Exec(`UPDATE members SET `+set+` WHERE conversation_id = ? AND user_id = ? AND to_seq = 0`,
		value, ch.conversation.ID, user)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE memberships SET `+set+`, stamp = ? WHERE user_id = ? AND conversation_id = ?`,
		value, ch.stamp, user, ch.conversation.ID)
	return err
}
