package store

import (
	"context"
	"encoding/json"
	"strings"

	"holdline/internal/planted"
)

// Kinds of conversation.
const (
	KindDirect = "direct" // two fixed members
	KindGroup  = "group"
)

// What a new member may read.
const (
	HistoryJoined = "joined" // from their joining on (default)
	HistoryAll    = "all"    // everything
)

// Roles in a conversation.
const (
	MemberRoleOwner  = "owner"
	MemberRoleAdmin  = "admin"
	MemberRoleMember = "member"
)

// MaxUnread is how far unread messages are counted, so that a list costs the
// same after any absence: an Unread of MaxUnread means that or more.
const MaxUnread = 10_000

// Conversation is a conversation as one member sees it.
type Conversation struct {
	ID           ID     `db:"conversation_id"`
	Kind         string `db:"kind"`
	Title        string `db:"title"`
	History      string `db:"history"`
	CreatorID    ID     `db:"creator_id"`
	CreatedAt    Millis `db:"created_at"`
	LastSeq      int64  `db:"last_seq"`
	FirstSeq     int64  `db:"first_seq"` // the viewer's first readable seq
	Role         string `db:"role"`      // the viewer's
	Unread       int64  `db:"unread"`    // others' messages after the viewer's read watermark, up to MaxUnread
	DeliveredSeq int64  `db:"delivered_seq"`
	ReadSeq      int64  `db:"read_seq"`
	LastMessage  *Event `db:"-"` // the newest message the viewer may read; nil if none
}

// Conversation returns one conversation as a current member sees it. CodeNotFound.
func (s *Store) Conversation(ctx context.Context, viewer, id ID) (Conversation, error) {
	var c Conversation
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		c, err = readConversation(tx, viewer, id)
		return err
	})
	return c, err
}

// Conversations lists the viewer's current conversations by id, those after
// the id `after`, at most limit. It takes two statements, however many there are.
func (s *Store) Conversations(ctx context.Context, viewer, after ID, limit int) ([]Conversation, error) {
	var page []Conversation
	err := s.backend.Read(ctx, func(tx *Tx) (err error) {
		page, err = selectConversations(tx, `ms.user_id = ? AND ms.conversation_id > ? AND ms.to_seq = 0
			ORDER BY ms.conversation_id LIMIT ?`, viewer, after, limit)
		return err
	})
	return page, err
}

func readConversation(tx *Tx, viewer, id ID) (Conversation, error) {
	found, err := selectConversations(tx, `ms.user_id = ? AND ms.conversation_id = ? AND ms.to_seq = 0`, viewer, id)
	if err != nil {
		return Conversation{}, err
	}
	if len(found) == 0 {
		return Conversation{}, errNoConversation
	}
	return found[0], nil
}

// selectConversations reads conversations as seen through memberships AS ms,
// with the condition and order given. Every subquery is a range of one index:
// of members, or of events. The CROSS JOIN keeps SQLite from starting with all
// conversations there are (https://www.sqlite.org/optoverview.html#crossjoin);
// to PostgreSQL it is a join like any other.
func selectConversations(tx *Tx, condition string, args ...any) ([]Conversation, error) {
	var rows []struct {
		Conversation
		LastMessageSeq int64 `db:"last_message_seq"`
	}
	query := `SELECT c.conversation_id, c.kind, c.title, c.history, c.creator_id, c.created_at, c.last_seq,
			ms.role, COALESCE(w.delivered_seq, 0) AS delivered_seq, COALESCE(w.read_seq, 0) AS read_seq,
			(SELECT MIN(m.from_seq) FROM members m
				WHERE m.conversation_id = ms.conversation_id AND m.user_id = ms.user_id) AS first_seq,
			(SELECT COUNT(*) FROM (
				SELECT 1 FROM events e WHERE e.conversation_id = ms.conversation_id AND e.type = 'message' AND e.sender_id <> ms.user_id
					AND e.seq > CASE WHEN COALESCE(w.read_seq, 0) < ms.from_seq THEN ms.from_seq - 1 ELSE w.read_seq END
				ORDER BY e.seq LIMIT ?) AS later) AS unread,
			COALESCE((SELECT MAX((SELECT MAX(e.seq) FROM events e
					WHERE e.conversation_id = m.conversation_id AND e.type = 'message' AND e.seq >= m.from_seq
						AND e.seq <= CASE WHEN m.to_seq = 0 THEN c.last_seq ELSE m.to_seq END))
				FROM members m
				WHERE m.conversation_id = ms.conversation_id AND m.user_id = ms.user_id), 0) AS last_message_seq
		FROM memberships ms
		CROSS JOIN conversations c
		LEFT JOIN watermarks w ON w.user_id = ms.user_id AND w.conversation_id = ms.conversation_id
		WHERE c.conversation_id = ms.conversation_id AND ` + condition
	if planted.On(planted.UnreadCountsOwn) {
		query = strings.Replace(query, ` AND e.sender_id <> ms.user_id`, ``, 1)
	}
	if err := tx.Select(&rows, query, append([]any{MaxUnread}, args...)...); err != nil {
		return nil, err
	}
	found := make([]Conversation, len(rows))
	last := make([][2]int64, 0, len(rows))
	for i, row := range rows {
		found[i] = row.Conversation
		if row.LastMessageSeq > 0 {
			last = append(last, [2]int64{int64(row.ID), row.LastMessageSeq})
		}
	}
	messages, err := selectEventsAt(tx, last)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if m, ok := messages[found[i].ID]; ok {
			found[i].LastMessage = &m
		}
	}
	return found, nil
}

// selectEventsAt reads one event of each of several conversations, given as
// (conversation, seq).
func selectEventsAt(tx *Tx, places [][2]int64) (map[ID]Event, error) {
	events := make(map[ID]Event, len(places))
	for len(places) > 0 {
		n := min(len(places), maxParameters/2)
		args := make([]any, 0, 2*n)
		for _, p := range places[:n] {
			args = append(args, p[0], p[1])
		}
		// PostgreSQL takes the columns' types from the first row.
		values := `(CAST(? AS BIGINT), CAST(? AS BIGINT))` + strings.Repeat(`, (?, ?)`, n-1)
		var part []Event
		if err := tx.Select(&part, `WITH place (conversation, place_seq) AS (VALUES `+values+`)
			SELECT `+eventColumns+` FROM place JOIN events ON conversation_id = conversation AND seq = place_seq`, args...); err != nil {
			return nil, err
		}
		for _, e := range part {
			events[e.ConversationID] = e
		}
		places = places[n:]
	}
	return events, nil
}

// SetTitle renames a group; changed is false when it has that title already.
// Only the owner and admins may. CodeNotFound, CodeForbidden, CodeConflict
// (direct), CodeInvalid, CodeUnauthorized.
func (s *Store) SetTitle(ctx context.Context, a Actor, id ID, title string) (e Event, changed bool, err error) {
	if err := validateLine("title", title, MaxTitleChars); err != nil {
		return Event{}, false, err
	}
	err = s.write(ctx, func(tx *Tx) ([]Event, error) {
		e, changed = Event{}, false
		c, _, err := s.lockForChange(tx, a, id, true)
		if err != nil || c.Title == title {
			return nil, err
		}
		ch, err := s.newChange(tx, c)
		if err != nil {
			return nil, err
		}
		ch.add(Event{Type: EventTitle, SenderID: a.UserID, Extra: `"title":` + quoteJSON(title)})
		if err := ch.store(tx); err != nil {
			return nil, err
		}
		e, changed = ch.events[0], true
		_, err = tx.Exec(`UPDATE conversations SET title = ? WHERE conversation_id = ?`, title, id)
		return ch.events, err
	})
	if err != nil {
		return Event{}, false, err
	}
	return e, changed, nil
}

// quoteJSON returns s as a JSON string.
func quoteJSON(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		return `""` // a string always marshals
	}
	return string(quoted)
}
