package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// NewConversation is what CreateConversation needs.
type NewConversation struct {
	Actor    Actor
	Kind     string
	Title    string   // group only
	Members  []string // handles, the creator left out or not; at most MaxMembersAtOnce
	ClientID string   // optional: makes the creation of a group idempotent; a direct one is so by itself
	History  string   // empty: HistoryJoined; a direct conversation has no later members
}

// errAgain ends an attempt at creating what another one creates at the same
// time: the next attempt finds it.
var errAgain = errors.New("created by somebody else meanwhile")

// maxAttempts bounds how often errAgain is believed: the winner of one attempt
// may in theory be rolled back before the next.
const maxAttempts = 5

// CreateConversation makes a conversation, or finds the direct one that exists
// (created false), or the group made by the same client_id. CodeUnknownMember,
// CodeInvalid, CodeClientIDReused, CodeUnauthorized, CodeConflict (a repeated
// client_id for a group that the creator has left since).
func (s *Store) CreateConversation(ctx context.Context, n NewConversation) (c Conversation, created bool, err error) {
	if err := n.normalize(); err != nil {
		return Conversation{}, false, err
	}
	for range maxAttempts {
		err = s.write(ctx, func(tx *Tx) ([]Event, error) {
			var events []Event
			var err error
			c, events, err = s.createConversation(tx, &n)
			created = len(events) > 0
			return events, err
		})
		if !errors.Is(err, errAgain) {
			break
		}
	}
	if errors.Is(err, errAgain) {
		err = Errorf(CodeUnavailable, "the same conversation is being created elsewhere; nothing was stored, try again shortly")
	}
	if err != nil {
		return Conversation{}, false, err
	}
	return c, created, nil
}

// normalize checks everything that needs no database and brings the request
// into one form, so that equal requests are equal.
func (n *NewConversation) normalize() (err error) {
	if n.History == "" {
		n.History = HistoryJoined
	}
	switch {
	case n.Kind != KindDirect && n.Kind != KindGroup:
		return invalid("kind", "must be direct or group")
	case n.Kind == KindDirect && n.Title != "":
		return invalid("title", "must be left out: a direct conversation has none")
	case n.History != HistoryJoined && n.History != HistoryAll:
		return invalid("history", "must be joined or all")
	}
	if err := validateLine("title", n.Title, MaxTitleChars); err != nil {
		return err
	}
	if n.ClientID != "" {
		if err := ValidateClientID(n.ClientID); err != nil {
			return err
		}
	}
	if n.Kind == KindDirect {
		n.History, n.ClientID = HistoryJoined, "" // neither means anything for it
	}
	n.Members, err = normalHandles(n.Members)
	return err
}

// createConversation is one attempt. It returns no events when it found a
// conversation that exists, and errAgain when somebody else was faster.
func (s *Store) createConversation(tx *Tx, n *NewConversation) (Conversation, []Event, error) {
	if err := checkActor(tx, n.Actor); err != nil {
		return Conversation{}, nil, err
	}
	var own string
	if err := tx.Get(&own, `SELECT handle FROM users WHERE user_id = ?`, n.Actor.UserID); err != nil {
		return Conversation{}, nil, err
	}
	named := len(n.Members)
	others := slices.DeleteFunc(slices.Clone(n.Members), func(h string) bool { return h == own })
	var found ID
	var ids []ID
	var err error
	if n.Kind == KindDirect {
		if len(others) != 1 {
			return Conversation{}, nil, directWith(named, len(others))
		}
		if ids, err = findAccounts(tx, others); err == nil {
			found, err = findDirect(tx, n.Actor.UserID, ids[0])
		}
	} else {
		// A repeat is known before its members are looked at: it must be
		// answered alike even when one of them is gone by now.
		if n.ClientID != "" {
			found, err = findCreation(tx, n, others)
		}
		if err == nil && found == 0 {
			ids, err = findAccounts(tx, others)
		}
	}
	switch {
	case err != nil:
		return Conversation{}, nil, err
	case found != 0:
		c, err := readConversation(tx, n.Actor.UserID, found)
		if CodeOf(err) == CodeNotFound {
			err = Errorf(CodeConflict, "this client_id made a group that you have left since; use a new client_id for a new one")
		}
		return c, nil, err
	}
	return s.insertConversation(tx, n, others, ids)
}

func directWith(named, others int) error {
	switch {
	case others == 0 && named > 0:
		return invalid("members", "must name somebody else: a direct conversation with oneself is not possible")
	case others == 0:
		return invalid("members", "must name the other person")
	default:
		return invalid("members", "must name exactly one other person; for more make a group")
	}
}

// insertConversation creates the conversation of the actor and the others, who
// are not locked yet. What can wait comes in the order of all locks: users by
// id, then the unique keys, then the stamp.
func (s *Store) insertConversation(tx *Tx, n *NewConversation, others []string, ids []ID) (Conversation, []Event, error) {
	var none Conversation
	everyone := append(slices.Clone(ids), n.Actor.UserID)
	slices.Sort(everyone)
	accounts, err := s.lockAccounts(tx, everyone)
	if err != nil {
		return none, nil, err
	}
	// Again, under the lock: the actor may have been signed out or disabled.
	if err := checkActor(tx, n.Actor); err != nil {
		return none, nil, err
	}
	if err := refuseDisabled(accounts); err != nil {
		return none, nil, err
	}
	c := &lockedConversation{ID: NewID(), Kind: n.Kind, Title: n.Title, History: n.History}
	if err := claim(tx, n, others, ids, c.ID); err != nil {
		return none, nil, err
	}
	ch, err := s.newChange(tx, c)
	if err != nil {
		return none, nil, err
	}
	inserted, err := tx.Exec(`INSERT INTO conversations (conversation_id, kind, title, history, creator_id, created_at,
			first_seq, last_seq, last_accepted_at, last_stamp)
		VALUES (?, ?, ?, ?, ?, ?, 1, 1, ?, ?) ON CONFLICT (conversation_id) DO NOTHING`,
		c.ID, c.Kind, c.Title, c.History, n.Actor.UserID, ch.at, ch.at, ch.stamp)
	if err != nil {
		return none, nil, err
	}
	if inserted == 0 {
		return none, nil, errAgain // a collision of random ids: the next attempt takes another
	}
	ch.add(Event{Type: EventCreated, SenderID: n.Actor.UserID, Extra: createdExtra(c, n.Actor.UserID, ids)})
	if err := ch.store(tx); err != nil {
		return none, nil, err
	}
	first := make([]joining, len(accounts))
	for i, a := range accounts {
		first[i] = joining{account: a, slot: a.NextSlot, role: MemberRoleMember, joinSeq: 1, fromSeq: 1}
		if n.Kind == KindGroup && a.ID == n.Actor.UserID {
			first[i].role = MemberRoleOwner
		}
	}
	if err := ch.join(tx, first); err != nil {
		return none, nil, err
	}
	made, err := readConversation(tx, n.Actor.UserID, c.ID)
	return made, ch.events, err
}

// claim takes the unique key under which a repeat of this creation is found:
// the pair of a direct conversation, or the group's client_id. Two claims at
// once meet here; the second waits for the first, and gets errAgain.
func claim(tx *Tx, n *NewConversation, others []string, ids []ID, conversation ID) error {
	var claimed int64
	var err error
	switch {
	case n.Kind == KindDirect:
		low, high := pair(n.Actor.UserID, ids[0])
		claimed, err = tx.Exec(`INSERT INTO direct_pairs (low_user, high_user, conversation_id) VALUES (?, ?, ?)
			ON CONFLICT (low_user, high_user) DO NOTHING`, low, high, conversation)
	case n.ClientID != "":
		claimed, err = tx.Exec(`INSERT INTO creations (creator_id, client_id, request_hash, conversation_id) VALUES (?, ?, ?, ?)
			ON CONFLICT (creator_id, client_id) DO NOTHING`, n.Actor.UserID, n.ClientID, n.hash(others), conversation)
	default:
		return nil
	}
	if err == nil && claimed == 0 {
		err = errAgain
	}
	return err
}

// createdExtra is what a `created` event says: kind, title of a group, first
// members with the creator first.
func createdExtra(c *lockedConversation, creator ID, others []ID) string {
	var b strings.Builder
	b.WriteString(`"kind":"` + c.Kind + `"`)
	if c.Kind == KindGroup {
		b.WriteString(`,"title":` + quoteJSON(c.Title))
	}
	b.WriteString(`,"members":["` + creator.String() + `"`)
	for _, id := range others {
		b.WriteString(`,"` + id.String() + `"`)
	}
	b.WriteString(`]`)
	return b.String()
}

// findDirect returns the direct conversation of two people, 0 if there is none.
func findDirect(tx *Tx, a, b ID) (ID, error) {
	low, high := pair(a, b)
	var id ID
	err := tx.Get(&id, `SELECT conversation_id FROM direct_pairs WHERE low_user = ? AND high_user = ?`, low, high)
	return id, noRowsIs(err, nil)
}

func pair(a, b ID) (low, high ID) { return min(a, b), max(a, b) }

// findCreation returns the group that the client_id made, 0 if none did.
// CodeClientIDReused when it was another request.
func findCreation(tx *Tx, n *NewConversation, others []string) (ID, error) {
	var made struct {
		Hash []byte `db:"request_hash"`
		ID   ID     `db:"conversation_id"`
	}
	err := tx.Get(&made, `SELECT request_hash, conversation_id FROM creations WHERE creator_id = ? AND client_id = ?`,
		n.Actor.UserID, n.ClientID)
	if err != nil {
		return 0, noRowsIs(err, nil)
	}
	if string(made.Hash) != string(n.hash(others)) {
		return 0, &Error{Code: CodeClientIDReused, Field: "client_id", Message: "already used to create another conversation; use a new client_id for a new one"}
	}
	return made.ID, nil
}

// hash identifies the request, whatever the order of its members.
func (n *NewConversation) hash(others []string) []byte {
	h := sha256.New()
	for _, part := range append([]string{n.Kind, n.Title, n.History}, others...) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
