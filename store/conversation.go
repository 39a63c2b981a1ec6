package store

import (
	"context"
	"encoding/json"
	"slices"
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
// the id `after`, at most limit of them and about MaxPageBytes of last messages,
// no more of which are read; more is true when there are others. It takes three
// statements, however many there are.
func (s *Store) Conversations(ctx context.Context, viewer, after ID, limit int) (page []Conversation, more bool, err error) {
	err = s.backend.Read(ctx, func(tx *Tx) error {
		found, err := selectConversations(tx, `ms.user_id = ? AND ms.conversation_id > ? AND ms.to_seq = 0
			ORDER BY ms.conversation_id LIMIT ?`, viewer, after, limit+1)
		if err != nil {
			return err
		}
		n, err := fitting(tx, found[:min(limit, len(found))])
		if err != nil {
			return err
		}
		more = n < len(found)
		page, err = withLastMessages(tx, found[:n])
		return err
	})
	return page, more, err
}

func readConversation(tx *Tx, viewer, id ID) (Conversation, error) {
	found, err := selectConversations(tx, `ms.user_id = ? AND ms.conversation_id = ? AND ms.to_seq = 0`, viewer, id)
	if err != nil {
		return Conversation{}, err
	}
	if len(found) == 0 {
		return Conversation{}, errNoConversation
	}
	whole, err := withLastMessages(tx, found[:1])
	if err != nil {
		return Conversation{}, err
	}
	return whole[0], nil
}

// listed is a conversation whose last message has been found, but not read.
type listed struct {
	Conversation
	LastMessageSeq int64 `db:"last_message_seq"` // 0: none
}

// selectConversations reads conversations as seen through memberships AS ms,
// with the condition and order given. Every subquery is a range of one index:
// of members, or of events. The CROSS JOIN keeps SQLite from starting with all
// conversations there are (https://www.sqlite.org/optoverview.html#crossjoin);
// to PostgreSQL it is a join like any other.
func selectConversations(tx *Tx, condition string, args ...any) ([]listed, error) {
	var found []listed
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
	err := tx.Select(&found, query, append([]any{MaxUnread}, args...)...)
	return found, err
}

// fitting returns how many of the conversations, from the first on, have last
// messages that fit into a page: by their lengths, which cost no reading of
// texts. The first always fits.
func fitting(tx *Tx, found []listed) (int, error) {
	if len(found)*(MaxTextBytes+eventOverhead) <= MaxPageBytes {
		return len(found), nil
	}
	lengths, err := selectAt[struct {
		ConversationID ID  `db:"conversation_id"`
		Bytes          int `db:"bytes"`
	}](tx, `conversation_id, OCTET_LENGTH(text) + OCTET_LENGTH(extra) AS bytes`, places(found))
	if err != nil {
		return 0, err
	}
	bytes := make(map[ID]int, len(lengths))
	for _, l := range lengths {
		bytes[l.ConversationID] = l.Bytes
	}
	size := 0
	for i := range found {
		size += bytes[found[i].ID] + eventOverhead
		if size > MaxPageBytes && i > 0 {
			return i, nil
		}
	}
	return len(found), nil
}

// withLastMessages reads the last messages.
func withLastMessages(tx *Tx, found []listed) ([]Conversation, error) {
	messages, err := selectAt[Event](tx, eventColumns, places(found))
	if err != nil {
		return nil, err
	}
	last := make(map[ID]*Event, len(messages))
	for i := range messages {
		last[messages[i].ConversationID] = &messages[i]
	}
	whole := make([]Conversation, len(found))
	for i := range found {
		whole[i] = found[i].Conversation
		whole[i].LastMessage = last[found[i].ID]
	}
	return whole, nil
}

// places are where the last messages lie.
func places(found []listed) [][2]int64 {
	last := make([][2]int64, 0, len(found))
	for i := range found {
		if found[i].LastMessageSeq > 0 {
			last = append(last, [2]int64{int64(found[i].ID), found[i].LastMessageSeq})
		}
	}
	return last
}

// selectAt reads columns of one event of each of several conversations, given as
// (conversation, seq).
func selectAt[T any](tx *Tx, columns string, places [][2]int64) (all []T, err error) {
	for part := range slices.Chunk(places, maxParameters/2) {
		args := make([]any, 0, 2*len(part))
		for _, p := range part {
			args = append(args, p[0], p[1])
		}
		// PostgreSQL takes the columns' types from the first row.
		values := `(CAST(? AS BIGINT), CAST(? AS BIGINT))` + strings.Repeat(`, (?, ?)`, len(part)-1)
		var found []T
		if err := tx.Select(&found, `WITH place (conversation, place_seq) AS (VALUES `+values+`)
			SELECT `+columns+` FROM place JOIN events ON conversation_id = conversation AND seq = place_seq`, args...); err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
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
