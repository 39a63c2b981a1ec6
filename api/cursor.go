package api

import (
	"math"
	"strconv"
	"strings"

	"holdline/poller"
	"holdline/store"
)

// cursor is a place in one conversation's log as a client gave it: SEQ-EPOCH,
// which only this server makes, or a bare seq from those who keep no cursor.
type cursor struct {
	seq   int64
	epoch string // empty for a bare seq
}

// maxEpoch is the length that the contract allows an epoch.
const maxEpoch = 20

// parseCursor reads a cursor that came in field. A seq too large for any log
// is read as the largest, which is ahead of all.
func parseCursor(field, text string) (cursor, error) {
	digits, epoch, dashed := strings.Cut(text, "-")
	if digits == "" || len(digits) > 19 || strings.Trim(digits, "0123456789") != "" ||
		dashed && (epoch == "" || len(epoch) > maxEpoch || !isAlphanumeric(epoch)) {
		return cursor{}, invalid(field, "%s must be the cursor of an answer or the id of an event (like 1207-k7q), or a seq of at least 0.", field)
	}
	seq, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		seq = math.MaxInt64
	}
	return cursor{seq, epoch}, nil
}

func isAlphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// startOf is where a request begins to read. Last-Event-ID beats after, since
// EventSource reconnects to the same address.
func startOf(after, lastEventID string) (at cursor, field string, err error) {
	field, text := "after", after
	if lastEventID != "" {
		field, text = "Last-Event-ID", lastEventID
	}
	if text == "" {
		return cursor{}, field, nil
	}
	at, err = parseCursor(field, text)
	return at, field, err
}

// resetError tells what a cursor was refused for and how to go on.
type resetError struct {
	cause *poller.ResetError
	field string
}

func (e *resetError) Error() string { return e.cause.Error() }

// Unwrap returns the coded form.
func (e *resetError) Unwrap() error {
	return &store.Error{Code: store.CodeCursorReset, Field: e.field, Message: "This cursor is ahead of the log, or from before the database was restored. " +
		"Load GET /v1/conversations/{conversation_id}/messages again, then go on from the cursor of that answer."}
}
