package store

import "strings"

// lockedConversation is a conversation's row, locked until its transaction ends.
type lockedConversation struct {
	ID             ID     `db:"conversation_id"`
	Kind           string `db:"kind"`
	Title          string `db:"title"`
	History        string `db:"history"`
	LastSeq        int64  `db:"last_seq"`
	LastAcceptedAt Millis `db:"last_accepted_at"`
}

// lockConversation locks the row. What is to be trusted about members, roles
// and sessions must be read after it, in later statements: a statement keeps
// the snapshot from before its lock wait. CodeNotFound.
func (s *Store) lockConversation(tx *Tx, id ID) (*lockedConversation, error) {
	var c lockedConversation
	err := tx.Get(&c, `SELECT conversation_id, kind, title, history, last_seq, last_accepted_at
		FROM conversations WHERE conversation_id = ?`+s.backend.ForUpdate(), id)
	return &c, noRowsIs(err, errNoConversation)
}

// lockForChange locks a group and makes sure that the actor may change it:
// session live, account enabled, a member; manage asks for owner or admin.
// It returns the actor's role. CodeUnauthorized, CodeNotFound, CodeConflict
// (direct), CodeForbidden.
func (s *Store) lockForChange(tx *Tx, a Actor, id ID, manage bool) (*lockedConversation, string, error) {
	c, err := s.lockConversation(tx, id)
	if err != nil {
		// A caller without a session is told that first, whatever it named.
		if actorErr := checkActor(tx, a); CodeOf(err) == CodeNotFound && actorErr != nil {
			err = actorErr
		}
		return nil, "", err
	}
	if err := checkActor(tx, a); err != nil {
		return nil, "", err
	}
	role, err := currentRole(tx, id, a.UserID)
	switch {
	case err != nil:
		return nil, "", noRowsIs(err, errNoConversation)
	case c.Kind == KindDirect:
		return nil, "", Errorf(CodeConflict, "the members of a direct conversation are fixed, and it has no title; create a group instead")
	case manage && role != MemberRoleOwner && role != MemberRoleAdmin:
		return nil, "", Errorf(CodeForbidden, "only the owner and admins of this conversation may do that")
	}
	return c, role, nil
}

// currentRole returns a member's role; sql.ErrNoRows if they are none now.
func currentRole(tx *Tx, conversation, user ID) (role string, err error) {
	err = tx.Get(&role, `SELECT role FROM memberships WHERE user_id = ? AND conversation_id = ? AND to_seq = 0`, user, conversation)
	return role, err
}

// change is a structural change of one locked conversation: events numbered
// from its row, all with one time and one stamp. Making one takes the stamp,
// so after it nothing may follow that could wait for a lock.
type change struct {
	conversation *lockedConversation
	at           Millis
	stamp        int64
	events       []Event
}

func (s *Store) newChange(tx *Tx, c *lockedConversation) (*change, error) {
	stamp, err := s.backend.Stamp(tx)
	if err != nil {
		return nil, err
	}
	return &change{conversation: c, at: max(s.now(), c.LastAcceptedAt), stamp: stamp}, nil
}

// add numbers an event and returns its seq.
func (ch *change) add(e Event) int64 {
	ch.conversation.LastSeq++
	e.ConversationID, e.Seq = ch.conversation.ID, ch.conversation.LastSeq
	e.AcceptedAt, e.Stamp = ch.at, ch.stamp
	ch.events = append(ch.events, e)
	return e.Seq
}

// store inserts the events and moves the conversation's head.
func (ch *change) store(tx *Tx) error {
	rows := make([][]any, len(ch.events))
	for i, e := range ch.events {
		rows[i] = []any{e.ConversationID, e.Seq, e.Type, e.SenderID, e.SubjectID, e.Action, e.AcceptedAt, e.Stamp, e.Extra}
	}
	if err := insertRows(tx, `INSERT INTO events
		(conversation_id, seq, type, sender_id, subject_id, action, accepted_at, stamp, extra)`, rows, ``); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE conversations SET last_seq = ?, last_accepted_at = ?, last_stamp = ? WHERE conversation_id = ?`,
		ch.conversation.LastSeq, ch.at, ch.stamp, ch.conversation.ID)
	return err
}

// maxParameters bounds one statement: SQLite takes 32,766 parameters,
// PostgreSQL 65,535; smaller statements parse faster.
const maxParameters = 6000

// insertRows runs `insert VALUES (…), (…) suffix` for rows of equal length, in
// as few statements as fit, in the order given.
func insertRows(tx *Tx, insert string, rows [][]any, suffix string) error {
	for len(rows) > 0 {
		columns := len(rows[0])
		n := min(len(rows), max(1, maxParameters/columns))
		args := make([]any, 0, n*columns)
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		one := "(?" + strings.Repeat(", ?", columns-1) + ")"
		if _, err := tx.Exec(insert+" VALUES "+one+strings.Repeat(", "+one, n-1)+" "+suffix, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// selectIn runs query for many keys, in statements of bounded size, and returns
// all rows. The query's first placeholder is the `IN (?)` that takes the keys;
// its ORDER BY, if any, holds across statements when the keys are sorted by it.
func selectIn[T any, K any](tx *Tx, query string, keys []K, args ...any) ([]T, error) {
	var all []T
	for len(keys) > 0 {
		n := min(len(keys), maxParameters)
		expanded, arguments, err := tx.In(query, append([]any{keys[:n]}, args...)...)
		if err != nil {
			return nil, err
		}
		var part []T
		if err := tx.Select(&part, expanded, arguments...); err != nil {
			return nil, err
		}
		all = append(all, part...)
		keys = keys[n:]
	}
	return all, nil
}
