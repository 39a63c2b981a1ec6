package store

import (
	"context"
	"slices"
)

// WatermarkMove is how far a member has got in a conversation: the latest of
// it, with the time of the last move of each part. Only upward moves exist.
type WatermarkMove struct {
	ConversationID ID     `db:"conversation_id"`
	UserID         ID     `db:"user_id"`
	DeliveredSeq   int64  `db:"delivered_seq"`
	ReadSeq        int64  `db:"read_seq"`
	DeliveredAt    Millis `db:"delivered_at"`
	ReadAt         Millis `db:"read_at"`
	// ReadHidden: the member shows nobody what they have read.
	ReadHidden bool `db:"read_hidden"`
	// OnlyHidden: nothing has moved that they show. Others must not be told at
	// all: being told would tell them.
	OnlyHidden bool `db:"only_hidden"`
	// ReadMoved: what they have read has moved, not only what was delivered.
	ReadMoved bool  `db:"read_moved"`
	Stamp     int64 `db:"stamp"`
}

// Concerns reports whether a user is to be told: of what others show, and of
// what they have read themselves, on another device.
func (m *WatermarkMove) Concerns(user ID) bool {
	if m.UserID == user {
		return m.ReadMoved
	}
	return !m.OnlyHidden
}

// selectMoves reads watermarks AS w with the condition given. What moved is
// what moved above stamp since.
func selectMoves(tx *Tx, since int64, condition string, args ...any) ([]WatermarkMove, error) {
	at := func(kind string) string {
		return `COALESCE((SELECT r.at FROM receipts r WHERE r.conversation_id = w.conversation_id AND r.kind = '` + kind + `'
			AND r.user_id = w.user_id AND r.seq = w.` + kind + `_seq), 0) AS ` + kind + `_at`
	}
	moved := func(kind string) string {
		return `COALESCE((SELECT r.stamp FROM receipts r WHERE r.conversation_id = w.conversation_id AND r.kind = '` + kind + `'
			AND r.user_id = w.user_id AND r.seq = w.` + kind + `_seq), 0) > ?`
	}
	var moves []WatermarkMove
	err := tx.Select(&moves, `SELECT w.conversation_id, w.user_id, w.delivered_seq, w.read_seq, w.stamp, `+at(receiptDelivered)+`, `+at(receiptRead)+`,
			NOT u.read_receipts AS read_hidden,
			NOT u.read_receipts AND NOT `+moved(receiptDelivered)+` AS only_hidden, `+moved(receiptRead)+` AS read_moved
		FROM watermarks w JOIN users u ON u.user_id = w.user_id
		WHERE `+condition, append([]any{since, since}, args...)...)
	return moves, err
}

// MovesIn returns the watermarks of the given conversations that moved above
// stamp since.
func (s *Store) MovesIn(ctx context.Context, conversations []ID, since int64) ([]WatermarkMove, error) {
	var moves []WatermarkMove
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		moves, err = movesIn(tx, conversations, since)
		return err
	})
	return moves, err
}

func movesIn(tx *Tx, conversations []ID, since int64) ([]WatermarkMove, error) {
	var all []WatermarkMove
	for part := range slices.Chunk(conversations, maxParameters/2) {
		condition, args, err := tx.In(`w.conversation_id IN (?) AND w.stamp > ?`, part, since)
		if err != nil {
			return nil, err
		}
		moves, err := selectMoves(tx, since, condition, args...)
		if err != nil {
			return nil, err
		}
		all = append(all, moves...)
	}
	return all, nil
}

// MovesFor returns the watermarks that moved above stamp since in the
// conversations that a user is in and that name people in receipts, that is,
// with at most MaxReceiptMembers members; only those that concern the user.
func (s *Store) MovesFor(ctx context.Context, user ID, since int64) ([]WatermarkMove, error) {
	var moves []WatermarkMove
	err := s.backend.Read(ctx, func(tx *Tx) error {
		moved, err := movedFor(tx, user, since)
		if err != nil {
			return err
		}
		moves, err = movesIn(tx, moved, since)
		return err
	})
	return slices.DeleteFunc(moves, func(m WatermarkMove) bool { return !m.Concerns(user) }), err
}

// movedLately is how many watermarks are looked at whoever's they are; where
// more have moved, a user's conversations are gone through.
const movedLately = 300

// movedFor returns the conversations of a user that name people in receipts and
// in which a watermark has moved. Whoever polls has been here a moment ago, and
// little has moved since anywhere.
func movedFor(tx *Tx, user ID, since int64) ([]ID, error) {
	var lately []ID
	if err := tx.Select(&lately, `SELECT conversation_id FROM watermarks WHERE stamp > ? ORDER BY stamp LIMIT ?`, since, movedLately+1); err != nil {
		return nil, err
	}
	const named = ` AND ms.to_seq = 0
		AND (SELECT COUNT(*) FROM (SELECT 1 FROM members m WHERE m.conversation_id = ms.conversation_id AND m.to_seq = 0 LIMIT ?) AS first) <= ?`
	if len(lately) <= movedLately {
		slices.Sort(lately)
		return selectIn[ID](tx, `SELECT ms.conversation_id FROM memberships ms
			WHERE ms.conversation_id IN (?) AND ms.user_id = ?`+named, slices.Compact(lately), user, MaxReceiptMembers+1, MaxReceiptMembers)
	}
	var moved []ID
	err := tx.Select(&moved, `SELECT ms.conversation_id FROM memberships ms WHERE ms.user_id = ?
		AND (SELECT MAX(w.stamp) FROM watermarks w WHERE w.conversation_id = ms.conversation_id) > ?`+named,
		user, since, MaxReceiptMembers+1, MaxReceiptMembers)
	return moved, err
}

// NamesReaders reports which of the conversations name people in receipts.
func (s *Store) NamesReaders(ctx context.Context, conversations []ID) (map[ID]bool, error) {
	var named map[ID]bool
	err := s.backend.Read(ctx, func(tx *Tx) error {
		named = make(map[ID]bool, len(conversations))
		for part := range slices.Chunk(conversations, maxParameters) {
			with, args := conversationsWanted(part)
			var ids []ID
			if err := tx.Select(&ids, `WITH `+with+` SELECT c FROM wanted WHERE (SELECT COUNT(*) FROM (SELECT 1 FROM members
				WHERE conversation_id = wanted.c AND to_seq = 0 LIMIT ?) AS first) <= ?`,
				append(args, MaxReceiptMembers+1, MaxReceiptMembers)...); err != nil {
				return err
			}
			for _, id := range ids {
				named[id] = true
			}
		}
		return nil
	})
	return named, err
}

// WatermarksIn returns all watermarks of those of the given conversations that
// name people in receipts.
func (s *Store) WatermarksIn(ctx context.Context, conversations []ID) ([]WatermarkMove, error) {
	named, err := s.NamesReaders(ctx, conversations)
	if err != nil {
		return nil, err
	}
	conversations = slices.DeleteFunc(slices.Clone(conversations), func(id ID) bool { return !named[id] })
	return s.MovesIn(ctx, conversations, 0)
}

// caughtUpPage is how many conversations NoteCaughtUp reads together.
const caughtUpPage = 500

// CaughtUp is what a catch-up has given: everything with a stamp above Since
// and up to a closed one, Until, in the slots before Slot, and in this one
// nothing above Seq.
type CaughtUp struct {
	Since, Until int64
	Slot, Seq    int64
}

// NoteCaughtUp notes as delivered, as NoteDelivered does, what a user was given
// by a catch-up: nothing of a stretch of membership that began later, even
// where it opens what was said before.
func (s *Store) NoteCaughtUp(ctx context.Context, user ID, c CaughtUp) error {
	for from := int64(0); ; {
		var moved []Moved
		var given map[ID]int64
		if err := s.backend.Read(ctx, func(tx *Tx) (err error) {
			if moved, err = selectMoved(tx, user, c.Since, from, caughtUpPage); err != nil {
				return err
			}
			given, err = c.given(tx, user, moved)
			return err
		}); err != nil {
			return err
		}
		for id, seq := range given {
			s.NoteDelivered(user, id, seq)
		}
		if len(moved) < caughtUpPage || moved[len(moved)-1].Slot >= c.Slot {
			return nil
		}
		from = moved[len(moved)-1].Slot + 1
	}
}

// given returns the last seq of each conversation among moved that a member has
// been given.
func (c *CaughtUp) given(tx *Tx, user ID, moved []Moved) (map[ID]int64, error) {
	var ids []ID
	var scanned ID // the one at Slot
	for _, m := range moved {
		if m.Slot <= c.Slot {
			ids = append(ids, m.ConversationID)
		}
		if m.Slot == c.Slot {
			scanned = m.ConversationID
		}
	}
	before, err := placesAt(tx, ids, c.Since)
	if err != nil {
		return nil, err
	}
	after, err := placesAt(tx, ids, c.Until)
	if err != nil {
		return nil, err
	}
	stretches, err := selectIn[struct {
		ConversationID ID    `db:"conversation_id"`
		JoinSeq        int64 `db:"join_seq"`
		Interval
	}](tx, `SELECT conversation_id, join_seq, from_seq, to_seq FROM members
		WHERE conversation_id IN (?) AND user_id = ?`, ids, user)
	if err != nil {
		return nil, err
	}
	given := make(map[ID]int64, len(ids))
	for _, s := range stretches {
		id, last := s.ConversationID, after[s.ConversationID]
		if s.JoinSeq > last {
			continue
		}
		if s.ToSeq != 0 {
			last = min(last, s.ToSeq)
		}
		if id == scanned {
			last = min(last, c.Seq)
		}
		if last >= s.FromSeq && last > before[id] {
			given[id] = max(given[id], last)
		}
	}
	return given, nil
}
