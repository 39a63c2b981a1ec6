package api

import (
	"bytes"
	"strconv"
	"time"

	"holdline/poller"
	"holdline/store"
)

// idEvery is after how many events an inbox's compact stream tells its cursor.
const idEvery = 16

// streamForm is how a stream is written for those who ask for more than the
// bytes that all readers share. It belongs to one stream.
type streamForm struct {
	compact, nudge bool
	maxBytes       int // of one frame or line; 0: any
	pad            int
	told           poller.Told
	unnamed        int // events given since an id was, where not each has one
}

// streamForm reads what form a stream is asked for in; nil for the usual one.
func (c *call) streamForm() *streamForm {
	f := streamForm{compact: c.number("compact") == 1, nudge: c.number("nudge") == 1, maxBytes: c.number("max_bytes"), pad: c.number("pad")}
	if f == (streamForm{}) {
		return nil
	}
	return &f
}

// isCompact reports whether a stream leaves out what its reader knows.
func (st *stream) isCompact() bool { return st.form != nil && st.form.compact }

// appendFrame appends an event's frame. idLine is the line of its id, with the
// ends of the lines before and behind it, or those alone.
func (f *streamForm) appendFrame(dst []byte, e poller.Frame, conversation store.ID, idLine []byte) []byte {
	from := len(dst)
	if !f.compact || !e.IsMessage() {
		dst = append(dst, e.EventLine()...)
	}
	dst = append(dst, "data: "...)
	data := len(dst)
	if f.compact {
		dst = e.AppendCompact(dst, conversation, &f.told)
	} else {
		dst = e.AppendJSON(dst)
	}
	if f.maxBytes > 0 {
		dst = cutBehind(dst, data, f.maxBytes-(data-from)-len(idLine))
	}
	return f.appendNudge(append(dst, idLine...), ":\n")
}

// appendNudge appends a comment, for those who are to get what comes before it at once.
func (f *streamForm) appendNudge(dst []byte, comment string) []byte {
	if f.nudge {
		return append(dst, comment...)
	}
	return dst
}

// appendLine appends the line of an event, which may lie in several conversations.
func (st *stream) appendLine(dst []byte, e poller.Frame, conversation store.ID) []byte {
	line := pageForm{text: true, inbox: conversation != 0}
	if st.form == nil {
		return line.append(st.server, dst, e, conversation)
	}
	line.most = st.form.maxBytes
	return st.form.appendNudge(line.append(st.server, dst, e, conversation), "#\n")
}

// appendPad appends a comment of the length that was asked for, which is
// nothing to a parser of streams (WHATWG HTML section 9.2.6), nor to readers of lines.
func (st *stream) appendPad(dst []byte) []byte {
	if st.form == nil || st.form.pad == 0 {
		return dst
	}
	begin := byte(':')
	if st.text {
		begin = '#'
	}
	from := len(dst)
	dst = append(dst, bytes.Repeat([]byte{' '}, st.form.pad)...)
	dst[from] = begin
	dst[len(dst)-1] = '\n'
	return dst
}

// appendHeartbeat appends a heartbeat as the stream's form has it.
func (st *stream) appendHeartbeat(dst []byte, conversation store.ID, last int64, fresh bool) []byte {
	now := time.Now()
	if st.form == nil {
		return appendHeartbeat(dst, conversation, last, fresh, now)
	}
	if at := store.MillisOf(now); st.form.compact {
		st.form.told.Time(at)
		dst = append(dst, "event: heartbeat\ndata: {"...)
		if fresh {
			dst = append(dst, `"last_seq":`...)
			dst = strconv.AppendInt(dst, last, 10)
			dst = append(dst, ',')
		}
		dst = append(dst, `"at":"`...)
		dst = append(at.Append(dst), "\"}\n\n"...)
	} else {
		dst = appendHeartbeat(dst, conversation, last, fresh, now)
	}
	return st.form.appendNudge(dst, ":\n")
}
