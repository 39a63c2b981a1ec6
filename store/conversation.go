package store

import "context"

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
	Unread       int64  `db:"unread"`    // others' messages after the viewer's read watermark
	DeliveredSeq int64  `db:"delivered_seq"`
	ReadSeq      int64  `db:"read_seq"`
	LastMessage  *Event `db:"-"` // the newest message the viewer may read; nil if none
}

// NewConversation is what CreateConversation needs.
type NewConversation struct {
	Actor    Actor
	Kind     string
	Title    string   // group only
	Members  []string // handles, the creator left out or not; at most MaxMembersAtOnce
	ClientID string   // group only, optional: makes the creation idempotent
	History  string   // empty: HistoryJoined
}

// CreateConversation makes a conversation, or finds the direct one that exists
// (created false), or the group made by the same client_id. CodeUnknownMember,
// CodeInvalid, CodeClientIDReused, CodeUnauthorized.
func (s *Store) CreateConversation(ctx context.Context, n NewConversation) (c Conversation, created bool, err error) {
	panic("h4")
}

// Conversation returns one conversation as a current member sees it. CodeNotFound.
func (s *Store) Conversation(ctx context.Context, viewer, id ID) (Conversation, error) { panic("h4") }

// Conversations lists the viewer's current conversations by id, those after
// the id `after`, at most limit.
func (s *Store) Conversations(ctx context.Context, viewer, after ID, limit int) ([]Conversation, error) {
	panic("h4")
}

// SetTitle renames a group; changed is false when it has that title already.
// CodeNotFound, CodeForbidden, CodeConflict (direct), CodeInvalid.
func (s *Store) SetTitle(ctx context.Context, a Actor, id ID, title string) (e Event, changed bool, err error) {
	panic("h4")
}

// Member is one person in a conversation.
type Member struct {
	User
	MemberRole string `db:"member_role"`
	FromSeq    int64  `db:"from_seq"`
}

// Members lists current members by user id, those after the id `after`, at most limit. CodeNotFound.
func (s *Store) Members(ctx context.Context, viewer, id, after ID, limit int) ([]Member, error) {
	panic("h4")
}

// AddMembers adds people to a group, one member event each; who is a member
// already is passed over. CodeNotFound, CodeForbidden, CodeConflict (direct),
// CodeUnknownMember.
func (s *Store) AddMembers(ctx context.Context, a Actor, id ID, handles []string) ([]Event, error) {
	panic("h4")
}

// RemoveMember removes a person, or lets the actor leave. An owner who leaves
// passes ownership on, by an event of its own before the removal. CodeNotFound (also: that person is not
// a member), CodeForbidden, CodeConflict (direct).
func (s *Store) RemoveMember(ctx context.Context, a Actor, id, user ID) ([]Event, error) { panic("h4") }
