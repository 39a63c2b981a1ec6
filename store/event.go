package store

// EventType says what an event records. On the wire it is an open string: a
// client ignores types it does not know and still advances.
type EventType string

// The types the log holds today.
const (
	EventCreated EventType = "created" // seq 1: the conversation and its first members
	EventMessage EventType = "message"
	EventMember  EventType = "member" // one person joined, left, was removed, or changed role
	EventTitle   EventType = "title"
	// EventHidden stands on the wire for what a reader must not see; it is never stored.
	EventHidden EventType = "hidden"
)

// Event is one entry of a conversation's log, immutable once committed.
type Event struct {
	ConversationID ID        `db:"conversation_id"`
	Seq            int64     `db:"seq"`
	Type           EventType `db:"type"`
	SenderID       ID        `db:"sender_id"`
	ClientID       string    `db:"client_id"` // messages only; shown to the sender's own readers only
	Text           string    `db:"text"`
	TargetSeq      int64     `db:"target_seq"` // the seq replied to; 0 for none
	SubjectID      ID        `db:"subject_id"` // the person a member event is about; 0 for none
	Action         string    `db:"action"`     // member events: one of the MemberAction constants
	AcceptedAt     Millis    `db:"accepted_at"`
	Stamp          int64     `db:"stamp"` // the horizon it was committed under
	// Extra holds further wire fields as a JSON object without its braces, in
	// public form, ready to be spliced in (`"title":"x","members":[…]`). Empty for none.
	Extra string `db:"extra"`
	// ThroughSeq is the last seq that an EventHidden stands for.
	ThroughSeq int64 `db:"-"`
}

// eventColumns is what every read of events selects, in one place.
const eventColumns = `conversation_id, seq, type, sender_id, COALESCE(client_id, '') AS client_id, text,
	target_seq, subject_id, action, accepted_at, stamp, extra`

// What a member event did to its subject.
const (
	MemberAdded   = "added"   // by somebody else
	MemberRemoved = "removed" // by somebody else; ends the subject's reading at this seq
	MemberLeft    = "left"    // by themselves; ends the subject's reading at this seq
	MemberRole    = "role"    // role changed (ownership passed on)
)

// Ends reports whether the event ends user's membership: the last event they may read.
func (e *Event) Ends(user ID) bool {
	return e.Type == EventMember && e.SubjectID == user && (e.Action == MemberRemoved || e.Action == MemberLeft)
}

// Interval is a stretch of a conversation's log that one member may read:
// FromSeq to ToSeq inclusive; ToSeq 0 while the membership lasts.
type Interval struct {
	FromSeq int64 `db:"from_seq"`
	ToSeq   int64 `db:"to_seq"`
}

// Membership is what one user may read of a conversation, and how far the
// conversation had got, both from one snapshot of the primary.
type Membership struct {
	Intervals []Interval // oldest first; never empty
	LastSeq   int64
	Role      string // in the current interval; empty when no longer a member
	Kind      string
}

// FirstSeq is the first seq the member may read.
func (m *Membership) FirstSeq() int64 { return m.Intervals[0].FromSeq }

// Current reports whether the user is a member now.
func (m *Membership) Current() bool { return m.Intervals[len(m.Intervals)-1].ToSeq == 0 }

// CanRead reports whether seq lies in one of the member's stretches.
func (m *Membership) CanRead(seq int64) bool {
	for _, i := range m.Intervals {
		if seq >= i.FromSeq && (i.ToSeq == 0 || seq <= i.ToSeq) {
			return true
		}
	}
	return false
}

// Limits of one message, enforced by the store whatever the way in.
const (
	MaxTextBytes     = 16 << 10 // of UTF-8, after decoding
	MaxClientIDChars = 64       // printable ASCII
	MaxTitleChars    = 200
	MaxMembersAtOnce = 1000
)
