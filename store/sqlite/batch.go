package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdline/internal/planted"
	"holdline/store"
)

// batchStatements are the send lane's statements, prepared once on the
// writer's connection.
type batchStatements struct {
	begin, commit, rollback          *sql.Stmt
	allowed, head, insert, stored    *sql.Stmt
	moveConversation, advanceHorizon *sql.Stmt

	clientIDsEnd, storedSince, clientIDSeq *sql.Stmt

	prepared []*sql.Stmt // all of these
	clock    func() time.Time
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
			VALUES (?, ?, 'message', ?, ?, ?, ?, ?, ?)`},
		{&s.stored, `SELECT text, target_seq, accepted_at, stamp FROM events WHERE conversation_id = ? AND seq = ?`},
		{&s.clientIDsEnd, `SELECT event_id FROM client_ids_end`},
		{&s.storedSince, `SELECT event_id, conversation_id, sender_id, client_id, seq FROM events WHERE event_id > ? ORDER BY event_id`},
		{&s.clientIDSeq, `SELECT seq FROM client_ids WHERE conversation_id = ? AND sender_id = ? AND client_id = ?`},
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
	endTurn := b.endTurn
	defer func() { endTurn() }()
	if b.batch == nil {
		if err := b.prepareBatch(ctx); err != nil {
			return classify(err)
		}
	}
	if _, err := b.batch.begin.Exec(); err != nil {
		return classify(err)
	}
	kept := false
	defer func() {
		if !kept {
			b.clientIDs.forget()
		}
	}()
	events, err := b.batch.append(items, &b.clientIDs)
	if err != nil || len(events) == 0 {
		kept = err == nil // nothing was stored, and nothing remembered
		_, rollbackErr := b.batch.rollback.Exec()
		if err == nil {
			err = rollbackErr
		}
		return classify(err)
	}
	if planted.On(planted.AckBeforeCommit) {
		kept, endTurn = true, func() { go b.commitLater(func() { committed(events) }) }
		return nil
	}
	if planted.On(planted.SeqReused) {
		committed(events)
		planted.Linger()
	}
	if _, err := b.batch.commit.Exec(); err != nil {
		_, _ = b.batch.rollback.Exec() // after some errors the transaction stays open
		return classifyCommit(err)
	}
	kept = true
	if !planted.On(planted.SeqReused) {
		committed(events)
	}
	if len(b.clientIDs.recent) >= foldAfter {
		if err := b.fold(ctx, &b.clientIDs); err != nil {
			b.log.Warn("client_ids were not brought forward; it is tried again after the next send", "error", err)
		}
	}
	return nil
}

// commitLater is the planted fault AckBeforeCommit: nobody waits for it.
func (b *Backend) commitLater(committed func()) {
	defer b.endTurn()
	planted.Linger()
	if _, err := b.batch.commit.Exec(); err == nil {
		committed()
	}
}

// append checks, numbers and inserts the items; it returns the new events in order.
func (s *batchStatements) append(items []*store.Append, ids *clientIDs) ([]store.Event, error) {
	if err := s.catchUp(ids); err != nil {
		return nil, err
	}
	var stamp int64
	if err := s.advanceHorizon.QueryRow().Scan(&stamp); err != nil {
		return nil, err
	}
	now := store.MillisOf(s.clock())
	heads := make(map[store.ID]*head, len(items))
	events := make([]store.Event, 0, len(items))
	for i, item := range items {
		send := &item.Send
		var session, member bool
		if err := s.allowed.QueryRow(send.Actor.UserID, send.Actor.SessionID, send.ConversationID).Scan(&session, &member); err != nil {
			return nil, err
		}
		if item.Err = store.CheckSender(session, member); item.Err != nil {
			continue
		}
		key := clientID{send.ConversationID, send.Actor.UserID, send.ClientID}
		if seq, err := s.find(ids, key); err != nil {
			return nil, err
		} else if seq != 0 {
			if err := s.repeat(item, seq); err != nil {
				return nil, err
			}
			continue
		}
		h, err := s.headOf(heads, send.ConversationID)
		if err != nil {
			return nil, err
		}
		acceptedAt := max(now, h.acceptedAt)
		if planted.On(planted.ClockTrusted) {
			acceptedAt = now
		}
		e := store.NewMessage(send, h.seq+1, acceptedAt, stamp)
		if planted.On(planted.BatchLosesOne) && i > 0 && i == len(items)-1 {
			item.Event = e
			continue
		}
		result, err := s.insert.Exec(e.ConversationID, e.Seq, e.SenderID, e.ClientID, e.Text, e.TargetSeq, e.AcceptedAt, e.Stamp)
		if err != nil {
			return nil, err
		}
		if ids.through, err = result.LastInsertId(); err != nil {
			return nil, err
		}
		ids.recent[key] = e.Seq
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

// repeat answers a send with the event that its client_id made earlier.
func (s *batchStatements) repeat(item *store.Append, seq int64) error {
	e := store.NewMessage(&item.Send, seq, 0, 0)
	err := s.stored.QueryRow(e.ConversationID, seq).Scan(&e.Text, &e.TargetSeq, &e.AcceptedAt, &e.Stamp)
	if err == nil {
		item.Repeat(e)
	}
	return err
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
