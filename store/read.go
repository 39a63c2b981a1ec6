package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// MaxPageBytes is about where a page ends, whatever its limit.
const MaxPageBytes = 1 << 20

// eventOverhead is about what an event costs on the wire beside its text.
const eventOverhead = 256

var errNoConversation = Errorf(CodeNotFound, "no such conversation")

// Membership returns what user may read of a conversation and its head, fresh
// from the primary. CodeNotFound for a conversation that does not exist or
// that the user was never in.
func (s *Store) Membership(ctx context.Context, conversation, user ID) (Membership, error) {
	var m Membership
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		m, err = readMembership(tx, conversation, user)
		return err
	})
	return m, err
}

func readMembership(tx *Tx, conversation, user ID) (Membership, error) {
	var rows []struct {
		Interval
		Role    string `db:"role"`
		Kind    string `db:"kind"`
		LastSeq int64  `db:"last_seq"`
	}
	err := tx.Select(&rows, `SELECT m.from_seq, m.to_seq, m.role, c.kind, c.last_seq
		FROM members m JOIN conversations c ON c.conversation_id = m.conversation_id
		WHERE m.conversation_id = ? AND m.user_id = ? ORDER BY m.from_seq`, conversation, user)
	if err != nil {
		return Membership{}, err
	}
	if len(rows) == 0 {
		return Membership{}, errNoConversation
	}
	latest := rows[len(rows)-1]
	m := Membership{LastSeq: latest.LastSeq, Kind: latest.Kind}
	for _, row := range rows {
		m.Intervals = append(m.Intervals, row.Interval)
	}
	if m.Current() {
		m.Role = latest.Role
	}
	return m, nil
}

// readCurrentMembership is readMembership for those who are members now.
func readCurrentMembership(tx *Tx, conversation, user ID) (Membership, error) {
	m, err := readMembership(tx, conversation, user)
	if err == nil && !m.Current() {
		err = errNoConversation
	}
	return m, err
}

// Events returns the stored events with from <= seq <= to, oldest first, at
// most limit of them and about MaxPageBytes; more is true when the page ended
// before `to`. It checks no membership: the live plane shares these pages.
func (s *Store) Events(ctx context.Context, conversation ID, from, to int64, limit int) (events []Event, more bool, err error) {
	err = s.backend.Read(ctx, func(tx *Tx) error {
		events, more, err = selectEvents(tx, limit, `SELECT `+eventColumns+` FROM events
			WHERE conversation_id = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?`, conversation, from, to, limit+1)
		return err
	})
	return events, more, err
}

// selectEvents reads rows until limit or MaxPageBytes; the query must ask for limit+1.
func selectEvents(tx *Tx, limit int, query string, args ...any) (events []Event, more bool, err error) {
	var e Event
	size := 0
	err = tx.Each(&e, func() (bool, error) {
		size += len(e.Text) + len(e.Extra) + eventOverhead
		if len(events) == limit || (size > MaxPageBytes && len(events) > 0) {
			more = true
			return false, nil
		}
		events = append(events, e)
		return true, nil
	}, query, args...)
	return events, more, err
}

// LastSeq returns a conversation's head from the primary; 0 if there is none such.
func (s *Store) LastSeq(ctx context.Context, conversation ID) (int64, error) {
	var last int64
	err := s.backend.Read(ctx, func(tx *Tx) error {
		err := tx.Get(&last, `SELECT last_seq FROM conversations WHERE conversation_id = ?`, conversation)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return last, err
}

// Log is a page of the log as one viewer may see it, from one snapshot. Where
// the viewer was away between two stretches of membership it holds one
// EventHidden.
type Log struct {
	Membership
	Events []Event
	More   bool
}

// EventsBefore returns the viewer's newest events with seq < before (0: from
// the end), oldest first. CodeNotFound unless the viewer is a member now.
func (s *Store) EventsBefore(ctx context.Context, viewer, conversation ID, before int64, limit int) (Log, error) {
	var page Log
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		page = Log{}
		if page.Membership, err = readCurrentMembership(tx, conversation, viewer); err != nil {
			return err
		}
		if before <= 0 || before > page.LastSeq {
			before = page.LastSeq + 1
		}
		for i, stretch := range slices.Backward(page.Intervals) {
			if before <= stretch.FromSeq {
				continue
			}
			to := before - 1
			if stretch.ToSeq != 0 && stretch.ToSeq < to {
				if len(page.Events) == limit {
					page.More = true
					break
				}
				page.Events = append(page.Events, hiddenEvent(conversation, stretch.ToSeq+1, to))
				to = stretch.ToSeq
			}
			if len(page.Events) == limit {
				page.More = true
				break
			}
			events, more, err := selectEvents(tx, limit-len(page.Events), `SELECT `+eventColumns+` FROM events
				WHERE conversation_id = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC LIMIT ?`,
				conversation, stretch.FromSeq, to, limit-len(page.Events)+1)
			if err != nil {
				return err
			}
			page.Events = append(page.Events, events...)
			if more {
				page.More = true
				break
			}
			before = stretch.FromSeq
			page.More = i > 0
		}
		slices.Reverse(page.Events)
		return nil
	})
	return page, err
}

func hiddenEvent(conversation ID, from, through int64) Event {
	return Event{ConversationID: conversation, Seq: from, ThroughSeq: through, Type: EventHidden}
}

// Message is a message as it is now.
type Message struct {
	Event
	StateSeq int64 // the newest log event this state includes
}

// MessagePage is a page of the state view.
type MessagePage struct {
	Membership
	Messages []Message
	More     bool
}

// Messages returns messages as they are now, oldest first, from one snapshot
// whose head is the page's LastSeq: the ones after `after`, or, when before is
// not 0 or after is 0, the newest ones before `before` (0: from the end).
// CodeNotFound unless the viewer is a member now.
func (s *Store) Messages(ctx context.Context, viewer, conversation ID, before, after int64, limit int) (MessagePage, error) {
	var page MessagePage
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		page = MessagePage{}
		if page.Membership, err = readCurrentMembership(tx, conversation, viewer); err != nil {
			return err
		}
		backward := before > 0 || after <= 0
		if before <= 0 {
			before = page.LastSeq + 1
		}
		stretches := page.Intervals
		if backward {
			stretches = slices.Clone(stretches)
			slices.Reverse(stretches)
		}
		for _, stretch := range stretches {
			from, to := max(stretch.FromSeq, after+1), before-1
			if stretch.ToSeq != 0 {
				to = min(to, stretch.ToSeq)
			}
			if from > to {
				continue
			}
			query := `SELECT ` + eventColumns + ` FROM events
				WHERE conversation_id = ? AND type = 'message' AND seq BETWEEN ? AND ? ORDER BY seq`
			if backward {
				query += ` DESC`
			}
			room := limit - len(page.Messages)
			events, more, err := selectEvents(tx, room, query+` LIMIT ?`, conversation, from, to, room+1)
			if err != nil {
				return err
			}
			for _, e := range events {
				page.Messages = append(page.Messages, messageState(e))
			}
			if page.More = more; more {
				break
			}
		}
		if backward {
			slices.Reverse(page.Messages)
		}
		return nil
	})
	return page, err
}

// messageState is a message with everything that later events did to it; the
// log has no such events yet, so a message's own event is the newest.
func messageState(e Event) Message { return Message{Event: e, StateSeq: e.Seq} }

// Message returns one message as it is now. CodeNotFound.
func (s *Store) Message(ctx context.Context, viewer, conversation ID, seq int64) (Message, error) {
	var m Message
	err := s.backend.Read(ctx, func(tx *Tx) error {
		membership, err := readCurrentMembership(tx, conversation, viewer)
		if err != nil {
			return err
		}
		m, err = readMessage(tx, &membership, conversation, seq)
		return err
	})
	return m, err
}

var errNoMessage = Errorf(CodeNotFound, "no such message")

func readMessage(tx *Tx, m *Membership, conversation ID, seq int64) (Message, error) {
	if !m.CanRead(seq) {
		return Message{}, errNoMessage
	}
	var e Event
	err := tx.Get(&e, `SELECT `+eventColumns+` FROM events
		WHERE conversation_id = ? AND seq = ? AND type = 'message'`, conversation, seq)
	if errors.Is(err, sql.ErrNoRows) {
		return Message{}, errNoMessage
	}
	return messageState(e), err
}

// Head is how far a conversation has got.
type Head struct {
	ConversationID ID    `db:"conversation_id"`
	LastSeq        int64 `db:"last_seq"`
}

// Changes is what a sweep found.
type Changes struct {
	Closed      int64 // pass to the next sweep
	Epoch       string
	Heads       []Head
	Revocations []Revocation
}
