package store

import "context"

// Actor is who calls: an authenticated user and the session they use.
type Actor struct {
	UserID    ID
	SessionID ID
}

// Send is a message to append.
type Send struct {
	Actor          Actor
	ConversationID ID
	ClientID       string // 1 to MaxClientIDChars printable ASCII characters
	Text           string // 1 to MaxTextBytes bytes of UTF-8 without NUL
	ReplyTo        int64  // seq of a message the sender may read; 0 for none
}

// Append stores a message durably and returns its event; duplicate is true
// when the same client_id stored it earlier. CodeInvalid, CodeNotFound,
// CodeUnauthorized, CodeClientIDReused, CodeOverloaded, CodeUnavailable,
// CodeStorageFull, CodeOutcomeUnknown. A ctx that ends makes Append return at
// once with CodeOutcomeUnknown; the send itself goes on.
func (s *Store) Append(ctx context.Context, send Send) (e Event, duplicate bool, err error) {
	panic("me")
}
