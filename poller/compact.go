package poller

import (
	"bytes"
	"time"

	"holdline/internal/eventjson"
	"holdline/store"
)

// Told is what one answer or stream has told its reader already, so that it
// need not be said again. The zero value has told nothing.
type Told struct {
	recent [Remembered]lastSender // the conversation of the last event first
	at     store.Millis
}

// Remembered is of how many conversations a reader of compact events has to
// keep the last sender: of those that had an event last.
const Remembered = 8

type lastSender struct{ conversation, sender store.ID }

// toldFor is how long a time that was told does for the events that follow.
const toldFor = time.Minute

// Within makes the conversation known: it is the one that was asked for.
func (t *Told) Within(conversation store.ID) { t.recent[0].conversation = conversation }

// Time notes that a time was told otherwise, by a heartbeat.
func (t *Told) Time(at store.Millis) { t.at = at }

// turn makes a conversation that of the last event. It reports whether it was already.
func (t *Told) turn(conversation store.ID) bool {
	if t.recent[0].conversation == conversation {
		return true
	}
	known := lastSender{conversation: conversation}
	for i := range t.recent {
		known, t.recent[i] = t.recent[i], known
		if known.conversation == conversation {
			t.recent[0] = known
			break
		}
	}
	return false
}

// AppendCompact appends the event's JSON object without what t has told, and
// notes what it tells. It copies pieces of the bytes that all readers share.
//
// Left out are the type `message`; the conversation, where it is that of the
// event before; the sender, where the last event of the same conversation has the
// same and the conversation is among the Remembered; and the time, where it is less than a minute from the one told last.
func (f Frame) AppendCompact(dst []byte, conversation store.ID, t *Told) []byte {
	e := f.e
	const head = 1 + eventjson.ConversationLen
	if t.turn(conversation) {
		dst = append(dst, '{')
	} else {
		dst = append(dst, e.frame[e.jsonAt:e.jsonAt+int32(head)]...)
	}
	sender := &t.recent[0].sender
	if e.senderAt < 0 { // hidden
		*sender = 0
		return append(dst, e.frame[e.jsonAt+int32(head):e.jsonEnd]...)
	}
	dst = append(dst, e.frame[e.jsonAt+int32(head):e.typeAt]...)
	if !e.message {
		dst = append(dst, e.frame[e.typeAt:e.senderAt-1]...)
	}
	if f.own {
		dst = append(append(dst, ','), e.own[:len(e.own)-1]...)
	}
	senderEnd := e.senderAt + int32(eventjson.SenderLen)
	if *sender != e.sender {
		dst = append(append(dst, ','), e.frame[e.senderAt:senderEnd]...)
		*sender = e.sender
	}
	dst = append(dst, e.frame[senderEnd:e.timeAt]...)
	timeEnd := e.timeAt + int32(eventjson.TimeLen)
	if apart := e.accepted - t.at; apart >= store.Millis(toldFor.Milliseconds()) || -apart >= store.Millis(toldFor.Milliseconds()) {
		dst = append(dst, e.frame[e.timeAt:timeEnd]...)
		t.at = e.accepted
	}
	return append(dst, e.frame[timeEnd:e.jsonEnd]...)
}

// IsMessage reports whether the event is of the type `message`, the default of streams.
func (f Frame) IsMessage() bool { return f.e.message }

// EventLine is the line of a stream that tells the event's type.
func (f Frame) EventLine() []byte { return f.e.frame[:f.e.jsonAt-int32(len("data: "))] }

// IDLine is the line of a conversation's stream that tells the cursor behind
// the event, with the ends of the lines before and behind it.
func (f Frame) IDLine() []byte { return f.e.frame[f.e.jsonEnd:] }

// FrameOf encodes an event that was read from the store, as viewer may see it.
func FrameOf(e *store.Event, epoch string, viewer store.ID) Frame {
	return frameFor(encode(e, epoch), viewer)
}

// AppendCompact appends the receipt as a viewer may see it, without its times.
func (r *Receipt) AppendCompact(dst []byte, viewer store.ID) []byte {
	from := len(dst)
	dst = r.AppendJSON(dst, viewer)
	for _, name := range []string{`,"delivered_at"`, `,"read_at"`} {
		if at := bytes.Index(dst[from:], []byte(name)); at >= 0 {
			return append(dst[:from+at], '}')
		}
	}
	return dst
}
