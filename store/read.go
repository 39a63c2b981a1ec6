package store

import "context"

// MaxPageBytes is about where a page ends, whatever its limit.
const MaxPageBytes = 1 << 20

// Membership returns what user may read of a conversation and its head, fresh
// from the primary. CodeNotFound for a conversation that does not exist or
// that the user was never in.
func (s *Store) Membership(ctx context.Context, conversation, user ID) (Membership, error) {
	panic("me")
}

// Events returns the stored events with from <= seq <= to, oldest first, at
// most limit of them and about MaxPageBytes; more is true when the page ended
// before `to`. It checks no membership: the live plane shares these pages.
func (s *Store) Events(ctx context.Context, conversation ID, from, to int64, limit int) (events []Event, more bool, err error) {
	panic("me")
}

// LastSeq returns a conversation's head from the primary; 0 if there is none such.
func (s *Store) LastSeq(ctx context.Context, conversation ID) (int64, error) { panic("me") }

// Log is a page of the log as one viewer may see it, from one snapshot.
// Events may hold EventHidden, with ThroughSeq told by Hidden.
type Log struct {
	Membership
	Events []Event
	More   bool
}

// EventsBefore returns the viewer's newest events with seq < before (0: from
// the end), oldest first. CodeNotFound unless the viewer is a member now.
func (s *Store) EventsBefore(ctx context.Context, viewer, conversation ID, before int64, limit int) (Log, error) {
	panic("me")
}

// Message is a message as it is now.
type Message struct {
	Event
	StateSeq int64 // the newest log event this state includes
}

// MessagePage is a page of the state view.
type MessagePage struct {
	Membership
	Messages []Message
	More     bool
}

// Messages returns messages as they are now, oldest first, from one snapshot
// whose head is the page's LastSeq: the ones after `after`, or, when before is
// not 0 or after is 0, the newest ones before `before` (0: from the end).
// CodeNotFound unless the viewer is a member now.
func (s *Store) Messages(ctx context.Context, viewer, conversation ID, before, after int64, limit int) (MessagePage, error) {
	panic("me")
}

// Message returns one message as it is now. CodeNotFound.
func (s *Store) Message(ctx context.Context, viewer, conversation ID, seq int64) (Message, error) {
	panic("me")
}

// Head is how far a conversation has got.
type Head struct {
	ConversationID ID    `db:"conversation_id"`
	LastSeq        int64 `db:"last_seq"`
}

// Changes is what a sweep found.
type Changes struct {
	Closed      int64 // pass to the next sweep
	Epoch       string
	Heads       []Head
	Revocations []Revocation
}

// Changes returns every conversation with events, and every revocation, whose
// stamp is above since, whichever node wrote them. What was committed by this
// process and handed to its feed may be left out.
func (s *Store) Changes(ctx context.Context, since int64) (Changes, error) { panic("me") }
