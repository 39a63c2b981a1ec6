package holdline

import (
	"encoding/json"
	"errors"
	"fmt"
)

// malformedTries is how often in a row the same that cannot be read is asked for before following ends. With the default
// Pace that is some five seconds, and with the server's own `retry` more than ten, in which what was garbled for a moment comes right.
const malformedTries = 5

// MalformedError says that Follow has ended at something that it cannot read: a field of a type that the contract does
// not give it, for instance, of a server that is newer than this package, or behind a proxy that garbles. The same came
// each time it was asked for. Nothing was skipped: all before it has been given, and nothing behind it.
//
// An application that has to go on follows again from its last Cursor, with ConversationID at Seq among its Positions;
// the event is passed over then, unread. Where Seq is 0, only a newer package or a mended way helps.
type MalformedError struct {
	// What it is: "event", "receipt", "snapshot", "heartbeat", "ending" or "frame" of a stream, or "answer", a whole one.
	What string
	// ConversationID and Seq are the event's own, as far as they can be read; of a `hidden` one the last seq that it
	// stands for.
	ConversationID string
	Seq            int64
	// Cursor is where it was asked for: it comes after that. Empty for the beginning.
	Cursor string
	// Err is what is wrong with it.
	Err error
}

func (e *MalformedError) Error() string {
	place := "after the cursor " + fmt.Sprintf("%q", e.Cursor)
	if e.Cursor == "" {
		place = "at the beginning"
	}
	what := "a malformed " + e.What
	if e.Seq > 0 {
		what += fmt.Sprintf(" %q seq %d", e.ConversationID, e.Seq)
	}
	return fmt.Sprintf("holdline: %s, %s, cannot be read: %v", what, place, e.Err)
}

func (e *MalformedError) Unwrap() error { return e.Err }

// sameAs reports whether two say that the same cannot be read.
func (e *MalformedError) sameAs(other *MalformedError) bool {
	return other != nil && e.What == other.What && e.ConversationID == other.ConversationID && e.Seq == other.Seq && e.Cursor == other.Cursor
}

// malformed is why a connection is given up at something that cannot be read.
func (f *follower) malformed(what string, err error) error {
	return &MalformedError{What: what, Cursor: f.cursor, Err: err}
}

func (f *follower) malformedEvent(e *entry) error {
	return &MalformedError{What: "event", ConversationID: e.ConversationId, Seq: through(&e.Event), Cursor: f.cursor, Err: e.bad}
}

// wasRead notes that what could not be read where this follower is can be.
func (f *follower) wasRead() { f.bad = nil }

// again counts how often in a row the same could not be read.
func (f *follower) again(bad *MalformedError) int {
	if !bad.sameAs(f.bad) {
		f.bad, f.badTimes = bad, 0
	}
	f.badTimes++
	return f.badTimes
}

// entry is an event as it came. Of one that cannot be read there is no more than its place, as far as that can be.
type entry struct {
	Event
	bad error
}

var errNoPlace = errors.New("an event without a conversation or a seq")

// UnmarshalJSON never fails, so that what comes before an event that cannot be read is given first.
func (e *entry) UnmarshalJSON(data []byte) error {
	e.Event = Event{}
	if e.bad = json.Unmarshal(data, &e.Event); e.bad == nil {
		return nil
	}
	var place struct {
		ConversationID string `json:"conversation_id"`
		Seq            int64  `json:"seq"`
		ThroughSeq     int64  `json:"through_seq"`
	}
	_ = json.Unmarshal(data, &place) // which takes what it can
	e.Event = Event{ConversationId: place.ConversationID, Seq: place.Seq, ThroughSeq: place.ThroughSeq}
	return nil
}

// placed reports whether it says where in a log it stands.
func (e *entry) placed() bool { return e.ConversationId != "" && e.Seq > 0 }

// hasSeq reports whether the data of a frame may be an entry of a log, readable or not.
func hasSeq(data []byte) bool {
	var o map[string]json.RawMessage
	return json.Unmarshal(data, &o) != nil || o == nil || o["seq"] != nil
}

// shapeError is JSON that is whole, and not what the contract says. JSON that is not whole may have been cut.
type shapeError struct{ error }

func (e *shapeError) Unwrap() error { return e.error }

// decode reads an answer, like its own decode.
func (f *follower) decode(a answer, v any) error {
	err := a.decode(v)
	var shape *shapeError
	if errors.As(err, &shape) {
		return f.malformed("answer", shape.error)
	}
	return err
}
