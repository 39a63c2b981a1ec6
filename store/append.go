package store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"holdline/internal/planted"
)

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
	if err := send.validate(); err != nil {
		return Event{}, false, err
	}
	if send.ReplyTo != 0 {
		if err := s.checkReply(ctx, &send); err != nil {
			return Event{}, false, err
		}
	}
	if planted.On(planted.StaleMembership) {
		if err := s.checkMember(ctx, &send); err != nil {
			return Event{}, false, err
		}
	}
	return s.lane.submit(ctx, send)
}

// checkMember is the planted fault StaleMembership: what it finds is old by the
// time that the send has its turn.
func (s *Store) checkMember(ctx context.Context, send *Send) error {
	err := s.backend.Read(ctx, func(tx *Tx) error {
		_, err := readCurrentMembership(tx, send.ConversationID, send.Actor.UserID)
		return err
	})
	planted.Linger()
	return err
}

func (send *Send) validate() error {
	if err := ValidateClientID(send.ClientID); err != nil {
		return err
	}
	if err := validateText("text", send.Text, MaxTextBytes); err != nil {
		return err
	}
	if send.ReplyTo < 0 {
		return errNoReplyTarget
	}
	return nil
}

var errNoReplyTarget = invalid("reply_to", "must be the seq of a message in this conversation")

// ValidateClientID checks the rule for client_id: 1 to MaxClientIDChars
// printable ASCII characters. CodeInvalid.
func ValidateClientID(id string) error {
	switch {
	case id == "":
		return invalid("client_id", "must be given: a new one for each message, the same one when a send is repeated")
	case len(id) > MaxClientIDChars:
		return invalid("client_id", fmt.Sprintf("must be at most %d characters", MaxClientIDChars))
	}
	for i := range len(id) {
		if id[i] < 0x20 || id[i] > 0x7e {
			return invalid("client_id", "must be printable ASCII")
		}
	}
	return nil
}

// validateText checks a required text: not empty, at most limit bytes of
// UTF-8, no NUL (PostgreSQL cannot store one).
func validateText(field, text string, limit int) error {
	switch {
	case text == "":
		return invalid(field, "must not be empty")
	case len(text) > limit:
		return invalid(field, fmt.Sprintf("must be at most %d bytes of UTF-8", limit))
	case !utf8.ValidString(text):
		return invalid(field, "must be valid UTF-8")
	case strings.IndexByte(text, 0) >= 0:
		return invalid(field, "must not contain U+0000")
	}
	return nil
}

// checkReply makes sure that what is replied to is a message the sender may
// read. It may look before the batch does: the log is append-only, and
// membership is checked again inside the batch.
func (s *Store) checkReply(ctx context.Context, send *Send) error {
	return s.backend.Read(ctx, func(tx *Tx) error {
		m, err := readCurrentMembership(tx, send.ConversationID, send.Actor.UserID)
		if err != nil {
			return err
		}
		if _, err = readMessage(tx, &m, send.ConversationID, send.ReplyTo); CodeOf(err) == CodeNotFound {
			return errNoReplyTarget
		}
		return err
	})
}
