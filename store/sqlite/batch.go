package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdline/store"
)

// batchStatements are the send lane's statements, prepared once on the
// writer's connection.
type batchStatements struct {
	begin, commit, rollback          *sql.Stmt
	allowed, head, insert, repeated  *sql.Stmt
	moveConversation, advanceHorizon *sql.Stmt
	prepared                         []*sql.Stmt // all of these
	clock                            func() time.Time
}

func (b *Backend) prepareBatch(ctx context.Context) error {
	s := &batchStatements{clock: b.clock}
	for _, p := range []struct {
		into  **sql.Stmt
		query string
	}{
		{&s.begin, `BEGIN IMMEDIATE`},
		{&s.commit, `COMMIT`},
		{&s.rollback, `ROLLBACK`},
		{&s.advanceHorizon, advanceHorizon},
		{&s.allowed, `SELECT
			EXISTS (SELECT 1 FROM sessions s JOIN users u ON u.user_id = s.user_id
				WHERE s.user_id = ?1 AND s.session_id = ?2 AND ` + store.LiveSession + `),
			EXISTS (SELECT 1 FROM memberships WHERE user_id = ?1 AND conversation_id = ?3 AND to_seq = 0)`},
		{&s.head, `SELECT last_seq, last_accepted_at FROM conversations WHERE conversation_id = ?`},
		{&s.insert, `INSERT INTO events (conversation_id, seq, type, sender_id, client_id, text, target_seq, accepted_at, stamp)
			VALUES (?, ?, 'message', ?, ?, ?, ?, ?, ?)
			ON CONFLICT (conversation_id, sender_id, client_id) WHERE client_id IS NOT NULL DO NOTHING`},
		{&s.repeated, `SELECT seq, text, target_seq, accepted_at, stamp FROM events
			WHERE conversation_id = ? AND sender_id = ? AND client_id = ?`},
		{&s.moveConversation, `UPDATE conversations SET last_seq = ?, last_accepted_at = ?, last_stamp = ? WHERE conversation_id = ?`},
	} {
		stmt, err := b.writer.PrepareContext(ctx, p.query)
		if err != nil {
			s.close()
			return err
		}
		*p.into = stmt
		s.prepared = append(s.prepared, stmt)
	}
	b.batch = s
	return nil
}

func (s *batchStatements) close() {
	if s == nil {
		return
	}
	for _, stmt := range s.prepared {
		_ = stmt.Close()
	}
}

// head is where a conversation stands inside a batch.
type head struct {
	seq        int64
	acceptedAt store.Millis
	moved      bool
}

// AppendBatch implements store.Backend. The write transaction excludes all
// other writers, so no row is ever held and wait has no meaning here.
func (b *Backend) AppendBatch(items []*store.Append, _ bool, committed func([]store.Event)) error {
	ctx := context.Background()
	if err := b.takeTurn(ctx); err != nil {
		return err
	}
	defer b.endTurn()
	if b.batch == nil {
		if err := b.prepareBatch(ctx); err != nil {
			return classify(err)
		}
	}
	if _, err := b.batch.begin.Exec(); err != nil {
		return classify(err)
	}
	events, err := b.batch.append(items)
	if err != nil || len(events) == 0 {
		_, rollbackErr := b.batch.rollback.Exec()
		if err == nil {
			err = rollbackErr
		}
		return classify(err)
	}
	if _, err := b.batch.commit.Exec(); err != nil {
		_, _ = b.batch.rollback.Exec() // after some errors the transaction stays open
		return classifyCommit(err)
	}
	committed(events)
	return nil
}

// append checks, numbers and inserts the items; it returns the new events in order.
func (s *batchStatements) append(items []*store.Append) ([]store.Event, error) {
	var stamp int64
	if err := s.advanceHorizon.QueryRow().Scan(&stamp); err != nil {
		return nil, err
	}
	now := store.MillisOf(s.clock())
	heads := make(map[store.ID]*head, len(items))
	events := make([]store.Event, 0, len(items))
	for _, item := range items {
		send := &item.Send
		var session, member bool
		if err := s.allowed.QueryRow(send.Actor.UserID, send.Actor.SessionID, send.ConversationID).Scan(&session, &member); err != nil {
			return nil, err
		}
		if item.Err = store.CheckSender(session, member); item.Err != nil {
			continue
		}
		h, err := s.headOf(heads, send.ConversationID)
		if err != nil {
			return nil, err
		}
		e := store.NewMessage(send, h.seq+1, max(now, h.acceptedAt), stamp)
		result, err := s.insert.Exec(e.ConversationID, e.Seq, e.SenderID, e.ClientID, e.Text, e.TargetSeq, e.AcceptedAt, e.Stamp)
		if err != nil {
			return nil, err
		}
		inserted, err := result.RowsAffected()
		if err != nil {
			return nil, err
		}
		if inserted == 0 {
			if err := s.repeated.QueryRow(e.ConversationID, e.SenderID, e.ClientID).
				Scan(&e.Seq, &e.Text, &e.TargetSeq, &e.AcceptedAt, &e.Stamp); err != nil {
				return nil, err
			}
			item.Repeat(e)
			continue
		}
		item.Event = e
		h.seq, h.acceptedAt, h.moved = e.Seq, e.AcceptedAt, true
		events = append(events, e)
	}
	for id, h := range heads {
		if !h.moved {
			continue
		}
		if _, err := s.moveConversation.Exec(h.seq, h.acceptedAt, stamp, id); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (s *batchStatements) headOf(heads map[store.ID]*head, id store.ID) (*head, error) {
	if h, ok := heads[id]; ok {
		return h, nil
	}
	h := &head{}
	err := s.head.QueryRow(id).Scan(&h.seq, &h.acceptedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("conversation %s has members but no row", id)
	}
	heads[id] = h
	return h, err
}
