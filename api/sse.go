package api

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"holdline/poller"
	"holdline/store"
)

// What stands in an event stream besides the frames of the log, which the
// poller encodes. WHATWG HTML section 9.2: a field's line ends at LF, a frame
// at an empty line; `retry` counts as soon as its line is there, `id` only with
// its frame.

const eventStream = "text/event-stream"

const (
	// How long a client waits before it comes back, told by `retry:`.
	retryAtFirst    = time.Second      // plus up to retrySpread; told at the start, for a connection that is lost
	retryAfterClose = 10 * time.Second // at most; a server that goes down ends many streams together
	retryNever      = time.Minute      // told with endings that coming back does not help
	retrySpread     = 2 * time.Second
)

// appendRetry appends the field alone; a frame has to follow.
func appendRetry(dst []byte, d time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, d.Milliseconds(), 10)
	return append(dst, '\n')
}

// jittered is between least and most.
func jittered(least, most time.Duration) time.Duration {
	return least + rand.N(most-least+1)
}

// appendHeartbeat appends the event that shows a client that the connection
// lives and how far the log has got. It has no id: it moves no cursor. last is
// left out while this server cannot tell (fresh is false). An inbox has neither
// conversation (0) nor last.
func appendHeartbeat(dst []byte, conversation store.ID, last int64, fresh bool, at time.Time) []byte {
	dst = append(dst, `event: heartbeat`+"\n"+`data: {"type":"heartbeat"`...)
	if conversation != 0 {
		dst = append(dst, `,"conversation_id":"`...)
		dst = conversation.Append(dst)
		dst = append(dst, '"')
	}
	if fresh {
		dst = append(dst, `,"last_seq":`...)
		dst = strconv.AppendInt(dst, last, 10)
	}
	dst = append(dst, `,"at":"`...)
	dst = store.MillisOf(at).Append(dst)
	return append(dst, "\"}\n\n"...)
}

// appendEnding appends the last frame of a stream that cannot go on: `reset`
// for a cursor that is not of this log, else `end`. EventSource hides the
// status and body of an error, so this stands in a 200.
func appendEnding(dst []byte, err error) []byte {
	problem := problemOf(err)
	data, encodeErr := json.Marshal(&problem)
	if encodeErr != nil || bytes.ContainsAny(data, "\r\n") {
		data = []byte(`{"code":"internal"}`)
	}
	dst = appendRetry(dst, retryNever)
	if errors.As(err, new(*poller.ResetError)) || problem.Code == string(store.CodeCursorReset) {
		dst = append(dst, "event: reset\ndata: "...)
	} else {
		dst = append(dst, "event: end\ndata: "...)
	}
	dst = append(dst, data...)
	return append(dst, "\n\n"...)
}
