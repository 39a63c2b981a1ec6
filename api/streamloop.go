package api

import (
	"bytes"
	"net"
	"sync"
	"time"

	"holdline/poller"
	"holdline/store"
)

// source is what a stream is read from: a conversation, or an inbox.
type source interface {
	Ending() poller.Wake
	Wait(done <-chan struct{}) poller.Wake
	Pause(d time.Duration)
	BeginWrite()
	EndWrite()
	Watch(poller.Watch)
	Close()

	// give writes one batch of what has not been given yet.
	give(st *stream) (wrote bool, err error)
	// begin appends what comes first, behind the heartbeat; nil for nothing.
	begin(st *stream) []byte
	// heartbeat appends one.
	heartbeat(st *stream, dst []byte) []byte
	removed() bool
	// goal is how far everything committed by now goes, for reached.
	goal() int64
	reached(goal int64) bool
	reset() error // why a cursor is void
}

// stream is one reader's stream. All of it but cut belongs to one goroutine.
type stream struct {
	server *Server
	source source
	user   store.ID
	conn   net.Conn    // nil where net/http keeps the connection
	shared *sharedConn // then this
	text   bool        // lines instead of frames
	form   *streamForm // nil for the usual one
	zip    *streamZip  // nil where it is not compressed
	broken bool        // a write has failed: nothing more is written
}

const (
	batchEvents = 256
	batchBytes  = 16 << 10 // what one write holds, unless one frame is larger
	retryRead   = time.Second
)

// batch is what a stream needs while it writes, and gives back when it waits.
type batch struct {
	frames []poller.Frame
	buf    []byte
}

var batches = sync.Pool{New: func() any {
	return &batch{frames: make([]poller.Frame, 0, batchEvents), buf: make([]byte, 0, batchBytes)}
}}

func (b *batch) release() {
	clear(b.frames)
	if cap(b.buf) <= 4*batchBytes {
		batches.Put(b)
	}
}

// runHijacked is the goroutine of a stream that has its connection for itself.
func (st *stream) runHijacked(head []byte) {
	st.run(head)
	st.endZip()
	conn, whole := st.conn, !st.broken
	st.source.Close() // no cut can come any more
	st.server.live.remove(st)
	hangUp(conn, whole && st.server.live.ctx.Err() == nil)
	st.server.live.done(st.user)
}

// end is the end of a stream whose connection stays with net/http.
func (st *stream) end() {
	st.endZip()
	st.source.Close()
	st.server.live.remove(st)
	st.server.live.done(st.user)
}

// run writes the stream from its head to its end.
func (st *stream) run(head []byte) {
	st.greet(head)
	var gone <-chan struct{}
	if st.shared != nil {
		gone = st.shared.gone
	}
	var ends poller.Wake // why the stream is to end
	var goal int64       // the head when that was noticed
	for !st.broken {
		why := st.source.Ending()
		if why&(poller.WakeRevoked|poller.WakeReset) != 0 {
			st.close(why)
			return
		}
		if why != 0 && ends == 0 {
			goal = st.source.goal()
		}
		ends = why
		wrote, err := st.source.give(st)
		switch {
		case st.broken:
			return
		case st.source.removed():
			st.writeEnding(errRemoved)
			return
		case ends != 0 && (!wrote || st.source.reached(goal)):
			st.close(ends)
			return
		case err != nil && !wrote:
			// The store cannot be read just now. The connection is kept: whoever
			// came back would find no more than this.
			st.source.Pause(retryRead)
		}
		// Wait returns at once while there is more to give.
		switch why := st.source.Wait(gone); {
		case why&poller.WakeGone != 0:
			return
		case why&poller.WakeHeartbeat != 0:
			st.heartbeat(nil)
		}
	}
}

// greet writes the head and what begins a stream.
func (st *stream) greet(head []byte) {
	if st.zip != nil {
		st.writePlain(head) // the answer's head is none of its body
		head = nil
	}
	head = st.appendPad(head)
	if st.text {
		st.write(append(append(head, '\n'), st.source.begin(st)...))
		return
	}
	head = appendRetry(head, jittered(retryAtFirst, retryAtFirst+retrySpread))
	st.write(append(st.source.heartbeat(st, head), st.source.begin(st)...))
}

// heartbeat writes a heartbeat, an empty line in text, behind what b holds.
func (st *stream) heartbeat(b []byte) {
	if st.text {
		st.write(append(b, '\n'))
		return
	}
	st.write(st.source.heartbeat(st, b))
}

// close writes the end that a reason asks for.
func (st *stream) close(why poller.Wake) {
	switch {
	case why&poller.WakeReset != 0:
		st.writeEnding(st.source.reset())
	case why&poller.WakeRevoked != 0:
		st.writeEnding(errSessionEnded)
	case why&poller.WakeExpired != 0:
		st.writeEnding(errTicketExpired)
	case st.text:
		// A line-reader sees the end of the connection, and comes back.
	case why&poller.WakeShutdown != 0:
		st.heartbeat(appendRetry(nil, jittered(retryAtFirst, retryAfterClose)))
	default: // its age
		st.heartbeat(appendRetry(nil, jittered(retryAtFirst, retryAtFirst+retrySpread)))
	}
}

// writeEnding says why the stream cannot go on; in text as a line that begins
// with #, which no event's does.
func (st *stream) writeEnding(err error) {
	if st.text {
		p := problemOf(err)
		b := appendVisible([]byte("# "), p.Code+": "+p.Detail)
		st.write(append(b, '\n'))
		return
	}
	st.write(appendEnding(nil, err))
}

// write writes all of b, compressed where that is asked for.
func (st *stream) write(b []byte) {
	if st.zip == nil {
		st.writePlain(b)
		return
	}
	out := zipBuffers.Get().(*bytes.Buffer)
	out.Reset()
	st.zip.write(out, b)
	st.writePlain(out.Bytes())
	releaseZip(out)
}

// writeShared is write for the bytes that all readers share.
func (st *stream) writeShared(b []byte) {
	if st.zip == nil {
		st.writePlain(b)
		return
	}
	out := zipBuffers.Get().(*bytes.Buffer)
	out.Reset()
	st.zip.writeShared(out, b, &st.server.zips)
	st.writePlain(out.Bytes())
	releaseZip(out)
}

// endZip ends what is compressed, if there is anything and somebody to read it.
func (st *stream) endZip() {
	if st.zip == nil || st.broken || st.zip.tail == nil {
		return
	}
	var out bytes.Buffer
	st.zip.end(&out)
	st.writePlain(out.Bytes())
}

// writePlain writes all of b or breaks the stream. How long it may take is
// watched over by the poller's wheel, which calls cut.
func (st *stream) writePlain(b []byte) {
	if st.broken || len(b) == 0 {
		return
	}
	var err error
	st.source.BeginWrite()
	if st.conn != nil {
		_, err = st.conn.Write(b)
	} else {
		err = st.shared.write(b)
	}
	st.source.EndWrite()
	st.broken = err != nil
}
