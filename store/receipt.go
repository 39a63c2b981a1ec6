package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdline/internal/planted"
)

// Acks names how far a user has got, by conversation.
type Acks struct {
	Delivered map[ID]int64 // at most MaxAcksAtOnce
	Read      map[ID]int64 // at most MaxAcksAtOnce
}

// MaxAcksAtOnce is how many conversations each part of one Ack may name.
const MaxAcksAtOnce = 1000

// Receipt is what one member has done about one message; zero: not yet.
type Receipt struct {
	UserID      ID     `db:"user_id"`
	DeliveredAt Millis `db:"delivered_at"`
	NotifiedAt  Millis `db:"notified_at"`
	ReadAt      Millis `db:"read_at"`
}

// MessageReceipts is the state of one message: what its readers have done, who
// are the current members that may read it, without its sender. Above
// MaxReceiptMembers current members Members is nil and the counts alone are told.
type MessageReceipts struct {
	AcceptedAt                                            Millis
	Members                                               []Receipt
	MemberCount, DeliveredCount, NotifiedCount, ReadCount int64
}

// MaxReceiptMembers is the largest conversation whose receipts name people.
const MaxReceiptMembers = 256

// Kinds of receipt.
const (
	receiptDelivered = "delivered"
	receiptNotified  = "notified"
	receiptRead      = "read"
)

// Ack moves the user's watermarks forward, never back; read implies delivered.
// It returns once they are durable. Conversations the user is not in are
// ignored; a seq beyond a conversation's end is CodeConflict and nothing is
// applied. Moves of one user within a second share a write, and are one move.
// CodeUnauthorized, CodeInvalid, CodeOverloaded, CodeUnavailable,
// CodeStorageFull, CodeOutcomeUnknown. A ctx that ends makes Ack return at
// once with CodeOutcomeUnknown.
func (s *Store) Ack(ctx context.Context, a Actor, acks Acks) error {
	for field, seqs := range map[string]map[ID]int64{receiptDelivered: acks.Delivered, receiptRead: acks.Read} {
		if len(seqs) > MaxAcksAtOnce {
			return invalid(field, fmt.Sprintf("must name at most %d conversations at once", MaxAcksAtOnce))
		}
		for id, seq := range seqs {
			if seq < 0 {
				return invalid(field, fmt.Sprintf("the seq of %s must not be negative", id))
			}
		}
	}
	var moves map[ID]move
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		if err := checkActor(tx, a); err != nil {
			return err
		}
		moves, err = acks.moves(tx, a.UserID)
		return err
	})
	if err != nil || len(moves) == 0 {
		return err
	}
	return s.receipts.ack(ctx, a.UserID, moves)
}

// moves returns what of the acks would move a watermark now. CodeConflict.
func (a *Acks) moves(tx *Tx, user ID) (map[ID]move, error) {
	wanted := make(map[ID]move, len(a.Read)+len(a.Delivered))
	for id, seq := range a.Delivered {
		wanted[id] = move{delivered: seq}
	}
	for id, seq := range a.Read {
		wanted[id] = move{delivered: max(seq, wanted[id].delivered), read: seq}
	}
	type place struct {
		ConversationID ID    `db:"conversation_id"`
		LastSeq        int64 `db:"last_seq"`
		DeliveredSeq   int64 `db:"delivered_seq"`
		ReadSeq        int64 `db:"read_seq"`
	}
	places, err := selectIn[place](tx, `SELECT ms.conversation_id, c.last_seq,
			COALESCE(w.delivered_seq, 0) AS delivered_seq, COALESCE(w.read_seq, 0) AS read_seq
		FROM memberships ms
		JOIN conversations c ON c.conversation_id = ms.conversation_id
		LEFT JOIN watermarks w ON w.user_id = ms.user_id AND w.conversation_id = ms.conversation_id
		WHERE ms.conversation_id IN (?) AND ms.user_id = ? AND ms.to_seq = 0`,
		slices.Collect(maps.Keys(wanted)), user)
	if err != nil {
		return nil, err
	}
	moves := make(map[ID]move, len(places))
	for _, p := range places {
		m := wanted[p.ConversationID]
		if m.delivered > p.LastSeq { // never below m.read
			field := receiptDelivered
			if m.read > p.LastSeq {
				field = receiptRead
			}
			return nil, &Error{
				Code: CodeConflict, Field: field,
				Message: fmt.Sprintf("conversation %s ends at seq %d; nothing of this call was applied", p.ConversationID, p.LastSeq),
			}
		}
		if m.delivered > p.DeliveredSeq || m.read > p.ReadSeq || planted.On(planted.ReceiptsGoBack) {
			moves[p.ConversationID] = m
		}
	}
	return moves, nil
}

// NoteDelivered records that the server's own cursor came back for seq:
// delivered, made durable within about a second, never waited for. While the
// database is away or far behind it may be forgotten: the next cursor that
// comes back says it again.
func (s *Store) NoteDelivered(user, conversation ID, seq int64) {
	if seq > 0 {
		s.receipts.note(user, conversation, seq)
	}
}

// Receipts returns what each other member has done about a message. CodeNotFound
// unless the viewer is a member now and may read it.
func (s *Store) Receipts(ctx context.Context, viewer, conversation ID, seq int64) (MessageReceipts, error) {
	var r MessageReceipts
	err := s.backend.Read(ctx, func(tx *Tx) error {
		r = MessageReceipts{}
		membership, err := readCurrentMembership(tx, conversation, viewer)
		if err != nil {
			return err
		}
		message, err := readMessage(tx, &membership, conversation, seq)
		if err != nil {
			return err
		}
		r.AcceptedAt = message.AcceptedAt
		var members int
		if err := tx.Get(&members, `SELECT COUNT(*) FROM (SELECT 1 FROM members
			WHERE conversation_id = ? AND to_seq = 0 LIMIT ?) AS first`, conversation, MaxReceiptMembers+1); err != nil {
			return err
		}
		if members > MaxReceiptMembers {
			return r.count(tx, &message.Event)
		}
		return r.name(tx, &message.Event, viewer)
	})
	if err != nil {
		return MessageReceipts{}, err
	}
	return r, nil
}

// readersOf is the condition on members AS m for the readers of a message;
// its arguments are readersArgs.
const readersOf = `m.conversation_id = ? AND m.to_seq = 0 AND m.user_id <> ? AND (m.from_seq <= ? OR EXISTS (
	SELECT 1 FROM members earlier WHERE earlier.conversation_id = m.conversation_id AND earlier.user_id = m.user_id
		AND earlier.from_seq <= ? AND earlier.to_seq >= ?))`

func readersArgs(e *Event) []any {
	return []any{e.ConversationID, e.SenderID, e.Seq, e.Seq, e.Seq}
}

// name fills in each reader's times: that of the first move to or past the
// message. What somebody has read who shows it to nobody, only they see.
func (r *MessageReceipts) name(tx *Tx, e *Event, viewer ID) error {
	first := func(kind string) string {
		return `COALESCE((SELECT r.at FROM receipts r WHERE r.conversation_id = m.conversation_id AND r.kind = '` + kind + `'
			AND r.user_id = m.user_id AND r.seq >= ? ORDER BY r.seq LIMIT 1), 0)`
	}
	at := func(kind string) string { return first(kind) + ` AS ` + kind + `_at` }
	readAt := first(receiptRead)
	args := append([]any{e.Seq, e.Seq, viewer, e.Seq}, readersArgs(e)...)
	r.Members = []Receipt{}
	if err := tx.Select(&r.Members, `SELECT m.user_id, `+
		strings.Join([]string{at(receiptDelivered), at(receiptNotified)}, `, `)+`,
			CASE WHEN m.user_id <> ? AND NOT (SELECT u.read_receipts FROM users u WHERE u.user_id = m.user_id) THEN 0
				ELSE `+readAt+` END AS read_at`+`
		FROM members m WHERE `+readersOf+` ORDER BY m.user_id`, args...); err != nil {
		return err
	}
	for _, m := range r.Members {
		r.MemberCount++
		r.DeliveredCount += reached(m.DeliveredAt)
		r.NotifiedCount += reached(m.NotifiedAt)
		r.ReadCount += reached(m.ReadAt)
	}
	return nil
}

func reached(at Millis) int64 {
	if at != 0 {
		return 1
	}
	return 0
}

// count fills in how many readers' watermarks have reached the message.
func (r *MessageReceipts) count(tx *Tx, e *Event) error {
	var row struct {
		Members   int64 `db:"members"`
		Delivered int64 `db:"delivered"`
		Notified  int64 `db:"notified"`
		Read      int64 `db:"has_read"`
	}
	args := append([]any{e.Seq, e.Seq, e.Seq}, readersArgs(e)...)
	err := tx.Get(&row, `SELECT COUNT(*) AS members,
			COALESCE(SUM(CASE WHEN w.delivered_seq >= ? THEN 1 ELSE 0 END), 0) AS delivered,
			COALESCE(SUM(CASE WHEN w.notified_seq >= ? THEN 1 ELSE 0 END), 0) AS notified,
			COALESCE(SUM(CASE WHEN w.read_seq >= ? AND (SELECT u.read_receipts FROM users u WHERE u.user_id = m.user_id) THEN 1 ELSE 0 END), 0) AS has_read
		FROM members m LEFT JOIN watermarks w ON w.user_id = m.user_id AND w.conversation_id = m.conversation_id
		WHERE `+readersOf, args...)
	r.MemberCount, r.DeliveredCount, r.NotifiedCount, r.ReadCount = row.Members, row.Delivered, row.Notified, row.Read
	return err
}
