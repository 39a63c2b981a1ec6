// Package eventjson writes events of the log in their wire form: one flat JSON
// object, the same bytes wherever an event appears (the answer to a send, a
// page of the log, a long-poll, the data line of a stream).
//
// It promises:
//
//  1. The output is one valid JSON object in UTF-8 without LF, CR, or any other
//     character below U+0020, so it fits on one `data:` line of a stream.
//  2. An event has one encoding. What only the sender's own readers may see,
//     client_id, is a piece to be put in at a known place (Shared), so that
//     all readers share the rest.
//
// Keys come in the order conversation_id, seq, type, client_id (own messages),
// sender_id, text, reply_to, accepted_at, user_id, action, then the event's
// extra fields. A key without a value is left out, except that a message
// always has text.
package eventjson

import (
	"strconv"
	"strings"

	"holdline/store"
)

// Append appends the wire form of e to dst. client_id is written only if
// includeClientID is true and the event has one: only its sender may see it.
// A hidden event is written as AppendHidden does, with e.ThroughSeq as
// through_seq (0: e.Seq).
func Append(dst []byte, e *store.Event, includeClientID bool) []byte {
	if e.Type == store.EventHidden {
		return AppendHidden(dst, e.ConversationID, e.Seq, max(e.Seq, e.ThroughSeq))
	}
	dst, _ = appendHead(dst, e)
	if includeClientID && e.ClientID != "" {
		dst = AppendClientID(dst, e.ClientID)
	}
	dst, _ = appendTail(dst, e)
	return dst
}

// Parts says where in the wire form of an event the pieces begin that not every
// reader is given. A hidden event has none of them: all are -1.
type Parts struct {
	Type   int // `,"type":…`, up to the comma before Sender
	Sender int // `"sender_id":"…"`, of SenderLen bytes; AppendClientID's piece goes before it
	Time   int // `,"accepted_at":"…"`, of TimeLen bytes
}

// The lengths of pieces that are always the same.
const (
	ConversationLen = len(`"conversation_id":"4Jx0aQ7bTz1",`) // follows the opening brace
	SenderLen       = len(`"sender_id":"7Vb3mNc1LpA"`)
	TimeLen         = len(`,"accepted_at":"2026-11-25T08:02:00.000Z"`)
)

// AppendShared appends the wire form of e without client_id, and tells where
// its parts begin in out.
func AppendShared(dst []byte, e *store.Event) (out []byte, at Parts) {
	if e.Type == store.EventHidden {
		return Append(dst, e, false), Parts{-1, -1, -1}
	}
	dst, at.Type = appendHead(dst, e)
	at.Sender = len(dst)
	dst, at.Time = appendTail(dst, e)
	return dst, at
}

// AppendClientID appends the piece that AppendShared leaves a place for:
// `"client_id":"…",`.
func AppendClientID(dst []byte, clientID string) []byte {
	dst = append(dst, `"client_id":`...)
	dst = AppendString(dst, clientID)
	return append(dst, ',')
}

// AppendHidden appends the event that stands for what a reader must not see:
// the seqs from seq to through, inclusive. The cursor behind it is through.
func AppendHidden(dst []byte, conversation store.ID, seq, through int64) []byte {
	dst = append(dst, `{"conversation_id":"`...)
	dst = conversation.Append(dst)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendInt(dst, seq, 10)
	dst = append(dst, `,"type":"hidden","through_seq":`...)
	dst = strconv.AppendInt(dst, through, 10)
	return append(dst, '}')
}

func appendHead(dst []byte, e *store.Event) (out []byte, typeAt int) {
	dst = append(dst, `{"conversation_id":"`...)
	dst = e.ConversationID.Append(dst)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendInt(dst, e.Seq, 10)
	typeAt = len(dst)
	dst = append(dst, `,"type":`...)
	dst = AppendString(dst, string(e.Type))
	return append(dst, ','), typeAt
}

func appendTail(dst []byte, e *store.Event) (out []byte, timeAt int) {
	dst = append(dst, `"sender_id":"`...)
	dst = e.SenderID.Append(dst)
	dst = append(dst, '"')
	if e.Type == store.EventMessage || e.Text != "" {
		dst = append(dst, `,"text":`...)
		dst = AppendString(dst, e.Text)
	}
	if e.Type == store.EventMessage && e.TargetSeq != 0 {
		dst = append(dst, `,"reply_to":`...)
		dst = strconv.AppendInt(dst, e.TargetSeq, 10)
	}
	timeAt = len(dst)
	dst = append(dst, `,"accepted_at":"`...)
	dst = e.AcceptedAt.Append(dst)
	dst = append(dst, '"')
	if e.SubjectID != 0 {
		dst = append(dst, `,"user_id":"`...)
		dst = e.SubjectID.Append(dst)
		dst = append(dst, '"')
	}
	if e.Action != "" {
		dst = append(dst, `,"action":`...)
		dst = AppendString(dst, e.Action)
	}
	if e.Extra != "" {
		dst = append(dst, ',')
		dst = appendFields(dst, e.Extra)
	}
	return append(dst, '}'), timeAt
}

// appendFields splices in fields that are JSON already. A control character in
// valid JSON is whitespace between tokens, so it can go.
func appendFields(dst []byte, fields string) []byte {
	if strings.IndexFunc(fields, isControl) < 0 {
		return append(dst, fields...)
	}
	for i := range len(fields) {
		if c := fields[i]; c >= ' ' {
			dst = append(dst, c)
		}
	}
	return dst
}

func isControl(r rune) bool { return r < ' ' }
