package store

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"holdline/internal/planted"
)

// userPlace is one user's place in one conversation.
type userPlace struct {
	UserID         ID    `db:"user_id"`
	ConversationID ID    `db:"conversation_id"`
	LastSeq        int64 `db:"last_seq"`
	DeliveredSeq   int64 `db:"delivered_seq"`
	ReadSeq        int64 `db:"read_seq"`
	Known          bool  `db:"known"` // a watermarks row exists
}

// placeKey identifies a place. Places are locked in the order of their keys.
type placeKey struct{ user, conversation ID }

func (k placeKey) compare(o placeKey) int {
	return cmp.Or(cmp.Compare(k.user, o.user), cmp.Compare(k.conversation, o.conversation))
}

// writeReceipts makes a batch of moves durable in one transaction. Moves of
// people who are no longer members, beyond a conversation's end, or behind the
// watermark are passed over.
//
// It locks watermarks rows only, in the order of their keys, and no
// conversation: receipts must not hold up sends. What a removal commits
// between the check and the end of this transaction is a receipt that came
// just before it.
func (s *Store) writeReceipts(batch []*userMoves) error {
	wanted := make(map[placeKey]move)
	for _, u := range batch {
		for id, m := range u.moves {
			wanted[placeKey{u.user, id}] = m
		}
	}
	keys := make([]placeKey, 0, len(wanted))
	for k := range wanted {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, placeKey.compare)
	var moved []userPlace // with their new watermarks
	return s.backend.Write(context.Background(), func(tx *Tx) error {
		moved = nil
		places, err := s.lockPlaces(tx, keys)
		if err != nil {
			return err
		}
		var receipts [][]any
		now := s.now()
		for _, p := range places {
			m := wanted[placeKey{p.UserID, p.ConversationID}]
			if max(m.delivered, m.read) > p.LastSeq {
				continue
			}
			row := func(kind string, seq int64) {
				receipts = append(receipts, []any{p.ConversationID, kind, p.UserID, seq, now})
			}
			delivered := max(p.DeliveredSeq, m.delivered, m.read)
			if planted.On(planted.ReceiptsGoBack) {
				delivered = max(m.delivered, m.read)
			}
			if delivered > p.DeliveredSeq {
				row(receiptDelivered, delivered)
			}
			if m.read > p.ReadSeq {
				row(receiptRead, m.read)
			}
			next := p
			next.DeliveredSeq, next.ReadSeq = delivered, max(p.ReadSeq, m.read)
			if next != p {
				moved = append(moved, next)
			}
		}
		if len(moved) == 0 {
			return nil
		}
		return s.storeMoves(tx, moved, receipts)
	}, func() { s.feedMoved(moved) })
}

// feedMoved tells which conversations' watermarks have moved.
func (s *Store) feedMoved(moved []userPlace) {
	if s.options.FeedMoved == nil || len(moved) == 0 {
		return
	}
	ids := make([]ID, len(moved))
	for i, p := range moved {
		ids[i] = p.ConversationID
	}
	slices.Sort(ids)
	s.options.FeedMoved(slices.Compact(ids))
}

func (s *Store) storeMoves(tx *Tx, moved []userPlace, receipts [][]any) error {
	stamp, err := s.backend.Stamp(tx)
	if err != nil {
		return err
	}
	for i := range receipts {
		receipts[i] = append(receipts[i], stamp)
	}
	if err := insertRows(tx, `INSERT INTO receipts (conversation_id, kind, user_id, seq, at, stamp)`, receipts, ``); err != nil {
		return err
	}
	rows := make([][]any, len(moved))
	for i, p := range moved {
		rows[i] = []any{p.UserID, p.ConversationID, p.DeliveredSeq, p.ReadSeq, stamp}
	}
	return insertRows(tx, `INSERT INTO watermarks (user_id, conversation_id, delivered_seq, read_seq, stamp)`, rows,
		`ON CONFLICT (user_id, conversation_id) DO UPDATE
			SET delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq, stamp = excluded.stamp`)
}

// lockPlaces locks the watermarks of those keys whose users are members, and
// returns the places as they are under the locks. keys must be sorted.
func (s *Store) lockPlaces(tx *Tx, keys []placeKey) ([]userPlace, error) {
	places, err := selectPlaces(tx, keys)
	if err != nil || len(places) == 0 || s.backend.ForUpdate() == "" {
		return places, err // there the transaction itself is the lock
	}
	slices.SortFunc(places, func(a, b userPlace) int { return a.key().compare(b.key()) })
	keys = keys[:0:0]
	var missing [][]any
	for _, p := range places {
		keys = append(keys, p.key())
		if !p.Known {
			missing = append(missing, []any{p.UserID, p.ConversationID, 0})
		}
	}
	if err := insertRows(tx, `INSERT INTO watermarks (user_id, conversation_id, stamp)`, missing,
		`ON CONFLICT (user_id, conversation_id) DO NOTHING`); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(keys, maxParameters/2) {
		with, args := placesWanted(part)
		var locked []ID
		if err := tx.Select(&locked, with+` SELECT w.user_id FROM wanted
			JOIN watermarks w ON w.user_id = wanted.u AND w.conversation_id = wanted.c
			ORDER BY w.user_id, w.conversation_id`+s.backend.ForUpdate(), args...); err != nil {
			return nil, err
		}
	}
	return selectPlaces(tx, keys)
}

func (p *userPlace) key() placeKey { return placeKey{p.UserID, p.ConversationID} }

// selectPlaces reads the places of current members.
func selectPlaces(tx *Tx, keys []placeKey) ([]userPlace, error) {
	var places []userPlace
	for part := range slices.Chunk(keys, maxParameters/2) {
		with, args := placesWanted(part)
		var found []userPlace
		if err := tx.Select(&found, with+` SELECT ms.user_id, ms.conversation_id, c.last_seq,
				COALESCE(w.delivered_seq, 0) AS delivered_seq, COALESCE(w.read_seq, 0) AS read_seq,
				w.user_id IS NOT NULL AS known
			FROM wanted
			JOIN memberships ms ON ms.user_id = wanted.u AND ms.conversation_id = wanted.c AND ms.to_seq = 0
			JOIN conversations c ON c.conversation_id = ms.conversation_id
			LEFT JOIN watermarks w ON w.user_id = ms.user_id AND w.conversation_id = ms.conversation_id`, args...); err != nil {
			return nil, err
		}
		places = append(places, found...)
	}
	return places, nil
}

// placesWanted is a WITH clause that holds keys as wanted(u, c).
func placesWanted(keys []placeKey) (with string, args []any) {
	for _, k := range keys {
		args = append(args, k.user, k.conversation)
	}
	// PostgreSQL takes the columns' types from the first row.
	return `WITH wanted (u, c) AS (VALUES (CAST(? AS BIGINT), CAST(? AS BIGINT))` +
		strings.Repeat(`, (?, ?)`, len(keys)-1) + `)`, args
}
