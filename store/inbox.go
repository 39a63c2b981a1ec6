package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Interest is one conversation that a user's inbox follows. The slot is the
// conversation's small number in the user's cursors; it is given at the first
// join, kept for ever, and never given to another.
type Interest struct {
	ConversationID ID    `db:"conversation_id"`
	Slot           int64 `db:"slot"`
	FromSeq        int64 `db:"from_seq"` // of the latest stretch of membership
}

// Interests returns the conversations a user is in, in the order of their ids,
// fresh from the primary.
func (s *Store) Interests(ctx context.Context, user ID) ([]Interest, error) {
	var all []Interest
	err := s.backend.Read(ctx, func(tx *Tx) error {
		return tx.Select(&all, `SELECT conversation_id, slot, from_seq FROM memberships
			WHERE user_id = ? AND to_seq = 0 ORDER BY conversation_id`, user)
	})
	return all, err
}

// Heads returns how far conversations have got; those that are not there are
// left out.
func (s *Store) Heads(ctx context.Context, conversations []ID) ([]Head, error) {
	var heads []Head
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		heads, err = selectIn[Head](tx, `SELECT conversation_id, last_seq FROM conversations WHERE conversation_id IN (?)`, conversations)
		return err
	})
	return heads, err
}

// Moved is a conversation in which something lies above a closed stamp.
type Moved struct {
	Interest
	Intervals []Interval `db:"-"`
	// The conversation's head: it may lie above the end of the last interval.
	LastSeq   int64 `db:"last_seq"`
	LastStamp int64 `db:"last_stamp"` // of the newest event
	// At is the last seq whose stamp is not above the one asked about; 0: none.
	At int64 `db:"-"`
}

// MovedPage is a part of what moved, from one snapshot.
type MovedPage struct {
	Moved  []Moved // in the order of slots
	More   bool
	Closed int64
	Epoch  string
}

// Moved returns the conversations of a user that moved above stamp since,
// those with slot >= from, at most limit. Ended memberships are among them
// when their end lies above since. It reads as many rows as the user has
// conversations, however much was said elsewhere, plus for each one found the
// logarithm of its length.
func (s *Store) Moved(ctx context.Context, user ID, since, from int64, limit int) (MovedPage, error) {
	var page MovedPage
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		page = MovedPage{}
		if page.Closed, page.Epoch, err = readClosed(tx); err != nil {
			return err
		}
		if page.Moved, err = selectMoved(tx, user, since, from, limit+1); err != nil {
			return err
		}
		if page.More = len(page.Moved) > limit; page.More {
			page.Moved = page.Moved[:limit]
		}
		return fillMoved(tx, user, since, page.Moved)
	})
	return page, err
}

// selectMoved reads what moved, but for intervals and places. The heads are
// subqueries, not a join: PostgreSQL would rather read all conversations there
// are than those of somebody who is in many.
func selectMoved(tx *Tx, user ID, since, from int64, limit int) (moved []Moved, err error) {
	err = tx.Select(&moved, `SELECT ms.conversation_id, ms.slot, ms.from_seq,
			(SELECT c.last_seq FROM conversations c WHERE c.conversation_id = ms.conversation_id) AS last_seq,
			(SELECT c.last_stamp FROM conversations c WHERE c.conversation_id = ms.conversation_id) AS last_stamp
		FROM memberships ms
		WHERE ms.user_id = ? AND ms.slot >= ? AND ? < CASE WHEN ms.to_seq = 0
			THEN (SELECT c.last_stamp FROM conversations c WHERE c.conversation_id = ms.conversation_id) ELSE ms.stamp END
		ORDER BY ms.slot LIMIT ?`, user, from, since, limit)
	return moved, err
}

// InboxChanges is what a sweep finds for inboxes beside events.
type InboxChanges struct {
	Memberships []MembershipChange
	Moves       []WatermarkMove // watermarks that moved
}

// MembershipChange is a membership that began or ended, as it is now.
type MembershipChange struct {
	UserID ID `db:"user_id"`
	Interest
	ToSeq int64 `db:"to_seq"` // 0: a member
}

// InboxChanges returns what changed above stamp since, whichever node wrote it.
func (s *Store) InboxChanges(ctx context.Context, since int64) (InboxChanges, error) {
	var c InboxChanges
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		c = InboxChanges{}
		if err := tx.Select(&c.Memberships, `SELECT user_id, conversation_id, slot, from_seq, to_seq
			FROM memberships WHERE stamp > ?`, since); err != nil {
			return err
		}
		// Here, since SQLite would rather go through all memberships than sort a few.
		slices.SortFunc(c.Memberships, func(a, b MembershipChange) int { return cmp.Compare(a.UserID, b.UserID) })
		c.Moves, err = selectMoves(tx, since, `w.stamp > ?`, since)
		return err
	})
	return c, err
}

func readClosed(tx *Tx) (closed int64, epoch string, err error) {
	if epoch, err = readMeta(tx, metaEpoch); err != nil {
		return 0, "", err
	}
	return closed, epoch, tx.Get(&closed, `SELECT closed FROM horizon WHERE id = 1`)
}

// fillMoved reads the intervals and the places at a stamp.
func fillMoved(tx *Tx, user ID, since int64, moved []Moved) error {
	ids := make([]ID, len(moved))
	byID := make(map[ID]*Moved, len(moved))
	for i := range moved {
		ids[i] = moved[i].ConversationID
		byID[ids[i]] = &moved[i]
	}
	stretches, err := selectIn[struct {
		ConversationID ID `db:"conversation_id"`
		Interval
	}](tx, `SELECT conversation_id, from_seq, to_seq FROM members
		WHERE conversation_id IN (?) AND user_id = ? ORDER BY conversation_id, from_seq`, ids, user)
	if err != nil {
		return err
	}
	for _, s := range stretches {
		m := byID[s.ConversationID]
		m.Intervals = append(m.Intervals, s.Interval)
	}
	places, err := placesAt(tx, ids, since)
	for id, at := range places {
		byID[id].At = at
	}
	return err
}

// placesAt returns the last seq of each conversation whose stamp is not above
// stamp, by bisection: stamps never fall along a log. All conversations take
// each step together. What is looked for lies at most n above lo; a step looks
// in the middle, and behind the log's end finds nothing. It is a subquery, not
// a join: PostgreSQL would rather read all events there are than those of many
// conversations.
func placesAt(tx *Tx, ids []ID, stamp int64) (map[ID]int64, error) {
	places := make(map[ID]int64, len(ids))
	if stamp <= 0 {
		return places, nil
	}
	for part := range slices.Chunk(ids, maxParameters) {
		wanted, args := conversationsWanted(part)
		query := `WITH RECURSIVE ` + wanted + `,
			search (c, lo, n) AS (
				SELECT wanted.c, CAST(0 AS BIGINT), (SELECT last_seq FROM conversations WHERE conversation_id = wanted.c) FROM wanted
				UNION ALL
				SELECT s.c, CASE WHEN (SELECT e.stamp FROM events e WHERE e.conversation_id = s.c AND e.seq = s.lo + (s.n + 1) / 2) <= ?
					THEN s.lo + (s.n + 1) / 2 ELSE s.lo END, s.n / 2
				FROM search s WHERE s.n > 0)
			SELECT c AS conversation_id, lo AS last_seq FROM search WHERE n = 0`
		var found []Head
		if err := tx.Select(&found, query, append(args, stamp)...); err != nil {
			return nil, err
		}
		for _, h := range found {
			places[h.ConversationID] = h.LastSeq
		}
	}
	return places, nil
}

// conversationsWanted is the part of a WITH clause that holds ids as wanted(c).
func conversationsWanted(ids []ID) (with string, args []any) {
	for _, id := range ids {
		args = append(args, id)
	}
	// PostgreSQL takes the column's type from the first row.
	return `wanted (c) AS (VALUES (CAST(? AS BIGINT))` + strings.Repeat(`, (?)`, len(ids)-1) + `)`, args
}

// PlaceAt returns the last seq of a conversation whose stamp is not above a
// closed one; 0 for none. The answer never changes.
func (s *Store) PlaceAt(ctx context.Context, conversation ID, stamp int64) (int64, error) {
	var places map[ID]int64
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		places, err = placesAt(tx, []ID{conversation}, stamp)
		return err
	})
	return places[conversation], err
}

// SlotPlace is a place named in a cursor, by the low bits of its seq.
type SlotPlace struct {
	Slot int64
	Low  int64 // seq modulo 1<<Bits; of the first seq from the place at the cursor's stamp on that has these
	Bits int
}

// Place is what a SlotPlace names.
type Place struct {
	Slot           int64
	ConversationID ID
	Seq            int64
	Stamp          int64 // of that event
	Past           int64 // how many seqs it lies above the place at the cursor's stamp
}

// Places finds the places of a cursor of a user, whose stamp is since. What
// names nothing is left out.
func (s *Store) Places(ctx context.Context, user ID, since int64, named []SlotPlace) ([]Place, error) {
	if len(named) == 0 {
		return nil, nil
	}
	var places []Place
	err := s.backend.Read(ctx, func(tx *Tx) error {
		places = nil
		slots := make([]int64, len(named))
		for i, n := range named {
			slots[i] = n.Slot
		}
		rows, err := selectIn[struct {
			Slot           int64 `db:"slot"`
			ConversationID ID    `db:"conversation_id"`
		}](tx, `SELECT slot, conversation_id FROM memberships WHERE slot IN (?) AND user_id = ?`, slots, user)
		if err != nil {
			return err
		}
		bySlot := make(map[int64]ID, len(rows))
		ids := make([]ID, len(rows))
		for i, row := range rows {
			bySlot[row.Slot], ids[i] = row.ConversationID, row.ConversationID
		}
		base, err := placesAt(tx, ids, since)
		if err != nil {
			return err
		}
		for _, n := range named {
			id, ok := bySlot[n.Slot]
			if !ok {
				continue
			}
			seq := n.above(base[id])
			var stamps []int64
			// What was hidden until a return is as old as that return.
			if err := tx.Select(&stamps, `SELECT stamp FROM events WHERE conversation_id = ? AND seq = ? +
				(SELECT COUNT(*) FROM members WHERE conversation_id = ? AND user_id = ? AND from_seq = ?)`,
				id, seq, id, user, seq+1); err != nil {
				return err
			}
			if len(stamps) == 1 {
				places = append(places, Place{Slot: n.Slot, ConversationID: id, Seq: seq, Stamp: stamps[0], Past: seq - base[id]})
			}
		}
		return nil
	})
	return places, err
}

// above returns the first seq from base on with the low bits named.
func (p SlotPlace) above(base int64) int64 {
	size := int64(1) << p.Bits
	past := (p.Low - base) % size
	if past < 0 {
		past += size
	}
	return base + past
}
