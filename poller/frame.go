package poller

import (
	"strconv"
	"sync"

	"holdline/internal/eventjson"
	"holdline/store"
)

// entry is one event, encoded once; all readers share it and nothing in it
// changes. The event stands there as a whole frame of a stream, whose data
// line is the JSON that a long-poll answers:
//
//	event: TYPE
//	data: JSON
//	id: SEQ-EPOCH
//
// data comes before id, since some clients keep the id of a frame that was cut
// in the middle.
type entry struct {
	seq, through    int64 // through is above seq only in a hidden event
	frame           []byte
	jsonAt, jsonEnd int32 // where the JSON stands in frame
	// Where its parts do (eventjson.Parts), -1 in a hidden event; own goes at senderAt.
	typeAt, senderAt, timeAt int32
	message                  bool
	own                      []byte // the piece for the sender's own readers: `"client_id":"…",`
	stamp                    int64  // the horizon it was committed under
	accepted                 store.Millis
	sender                   store.ID // who gets own
	ends                     store.ID // whose membership ends with this event; 0: nobody's
}

// entryOverhead is about what an entry costs beside its bytes.
const entryOverhead = 192

func (e *entry) size() int { return len(e.frame) + len(e.own) + entryOverhead }

var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// maxScratch keeps rare large events from staying in the pool.
const maxScratch = 64 << 10

// encode makes the entry of an event; its cursor carries epoch.
func encode(e *store.Event, epoch string) *entry {
	out := &entry{
		seq: e.Seq, through: max(e.Seq, e.ThroughSeq), stamp: e.Stamp,
		message: e.Type == store.EventMessage, accepted: e.AcceptedAt, sender: e.SenderID,
	}
	if e.SubjectID != 0 && e.Ends(e.SubjectID) {
		out.ends = e.SubjectID
	}
	buf := scratch.Get().(*[]byte)
	b := (*buf)[:0]
	b = append(b, "event: "...)
	b = append(b, e.Type...)
	b = append(b, "\ndata: "...)
	out.jsonAt = int32(len(b))
	b, at := eventjson.AppendShared(b, e)
	out.typeAt, out.senderAt, out.timeAt = int32(at.Type), int32(at.Sender), int32(at.Time)
	out.jsonEnd = int32(len(b))
	b = append(b, "\nid: "...)
	b = AppendCursor(b, out.through, epoch)
	b = append(b, "\n\n"...)
	end := len(b)
	if e.ClientID != "" && at.Sender >= 0 {
		b = eventjson.AppendClientID(b, e.ClientID)
	}
	kept := append(make([]byte, 0, len(b)), b...)
	out.frame, out.own = kept[:end:end], kept[end:]
	if *buf = b; cap(b) <= maxScratch {
		scratch.Put(buf)
	}
	return out
}

// AppendCursor appends the cursor of one conversation, SEQ-EPOCH.
func AppendCursor(dst []byte, seq int64, epoch string) []byte {
	dst = strconv.AppendInt(dst, seq, 10)
	dst = append(dst, '-')
	return append(dst, epoch...)
}

// Frame is one event as one reader may see it: bytes that all readers share,
// and for the sender the piece that only they see. The bytes must not be changed.
type Frame struct {
	e   *entry
	own bool
}

// frameFor is the entry as viewer may see it.
func frameFor(e *entry, viewer store.ID) Frame {
	return Frame{e: e, own: e.sender == viewer && len(e.own) > 0}
}

// Seq is the event's seq.
func (f Frame) Seq() int64 { return f.e.seq }

// Through is the reader's position behind the event: its seq, or the last seq
// that a hidden event stands for.
func (f Frame) Through() int64 { return f.e.through }

// Len is the length of the frame as AppendSSE writes it.
func (f Frame) Len() int {
	if f.own {
		return len(f.e.frame) + len(f.e.own)
	}
	return len(f.e.frame)
}

// Shared returns the whole frame of a stream as it lies in memory; nil for the
// sender's own, which has to be put together by AppendSSE.
func (f Frame) Shared() []byte {
	if f.own {
		return nil
	}
	return f.e.frame
}

// AppendSSE appends the whole frame of a stream.
func (f Frame) AppendSSE(dst []byte) []byte { return f.append(dst, 0, int32(len(f.e.frame))) }

// AppendWithID appends the frame with an id of the reader's own.
func (f Frame) AppendWithID(dst, id []byte) []byte {
	dst = f.append(dst, 0, f.e.jsonEnd)
	dst = append(dst, "\nid: "...)
	dst = append(dst, id...)
	return append(dst, "\n\n"...)
}

// AppendJSON appends the event's JSON object.
func (f Frame) AppendJSON(dst []byte) []byte { return f.append(dst, f.e.jsonAt, f.e.jsonEnd) }

func (f Frame) append(dst []byte, from, to int32) []byte {
	if !f.own {
		return append(dst, f.e.frame[from:to]...)
	}
	dst = append(dst, f.e.frame[from:f.e.senderAt]...)
	dst = append(dst, f.e.own...)
	return append(dst, f.e.frame[f.e.senderAt:to]...)
}
