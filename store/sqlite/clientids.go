package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"holdline/internal/planted"
	"holdline/store"
)

// foldAfter is how many recent client ids are kept out of the table client_ids.
// A fold of that many writes each page it touches once for several of them;
// more would make the writes beside it wait longer than a commit takes.
const foldAfter = 2048

// clientIDs finds what a repeated client_id stored. An index of all of them
// costs each send a page of its own, a fifth of what a send costs at all. So the
// table client_ids holds them up to the event that client_ids_end names, and is
// brought forward for many events at once; those after it are in memory, read
// from the end of the table events. Nothing rests on the memory: each batch
// begins by reading what was stored since it last looked, whoever stored it.
type clientIDs struct {
	through int64 // recent is complete up to this event_id; 0: nothing was read yet
	recent  map[clientID]int64
}

// clientID names a send; the value beside it is the seq of its event.
type clientID struct {
	conversation, sender store.ID
	id                   string
}

// forget makes the next batch read the database's end again: after a rollback,
// or a commit of unknown outcome, recent may hold what was not stored.
func (c *clientIDs) forget() { *c = clientIDs{} }

// catchUp reads what was stored since the last call, in the batch's transaction.
func (s *batchStatements) catchUp(c *clientIDs) error {
	if c.recent == nil {
		if err := s.clientIDsEnd.QueryRow().Scan(&c.through); err != nil {
			return err
		}
		c.recent = make(map[clientID]int64, 2*foldAfter)
	}
	rows, err := s.storedSince.Query(c.through)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key clientID
		var id sql.NullString
		var event, seq int64
		if err := rows.Scan(&event, &key.conversation, &key.sender, &id, &seq); err != nil {
			return err
		}
		c.through = event
		if key.id = id.String; id.Valid {
			c.recent[key] = seq
		}
	}
	return rows.Err()
}

// find returns the seq that the client_id stored, 0 if none.
func (s *batchStatements) find(c *clientIDs, key clientID) (int64, error) {
	if planted.On(planted.ClientIDForgotten) {
		return 0, nil
	}
	if seq, ok := c.recent[key]; ok {
		return seq, nil
	}
	var seq int64
	err := s.clientIDSeq.QueryRow(key.conversation, key.sender, key.id).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

// fold brings the table client_ids forward to all that recent holds. What fails
// here has cost nothing: the events are stored, and recent goes on to hold them.
func (b *Backend) fold(ctx context.Context, c *clientIDs) error {
	tx, err := b.writer.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var end int64
	if err := tx.GetContext(ctx, &end, `SELECT event_id FROM client_ids_end`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO client_ids (conversation_id, sender_id, client_id, seq)
		SELECT conversation_id, sender_id, client_id, seq FROM events
		WHERE event_id > ? AND event_id <= ? AND client_id IS NOT NULL
		ORDER BY conversation_id, sender_id, client_id`, end, c.through); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE client_ids_end SET event_id = ?`, max(end, c.through)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	clear(c.recent)
	return nil
}
