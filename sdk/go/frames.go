package holdline

import (
	"bytes"
	"errors"
	"io"
	"time"
)

var (
	errSilent = errors.New("holdline: the stream brings nothing, not even heartbeats")
	errFrame  = errors.New("holdline: a frame of the stream is longer than any that the server sends")
)

// wholeFrames passes an event stream on frame by frame: what a cut leaves of a frame never passes. The client of
// r3labs/sse would hand such a fragment on, with its id, which may be cut as well. It also makes each line end at LF,
// and drops the BOM that a stream may begin with (WHATWG HTML 9.2.5).
//
// A Read that gets no byte within idle fails with errSilent. Only reading counts: while the application takes its
// time nobody reads, and that is no silence of the line.
type wholeFrames struct {
	body io.ReadCloser
	idle time.Duration

	in      []byte // read, not looked at
	frame   []byte // the frame that is being read
	ready   []byte // whole frames that have not been passed on
	begun   bool   // the first bytes have been seen
	content bool   // the line that is being read is not empty
	cr      bool   // the last byte was a CR
}

var bom = []byte("\xef\xbb\xbf")

func newWholeFrames(body io.ReadCloser, idle time.Duration) *wholeFrames {
	return &wholeFrames{body: body, idle: idle}
}

func (w *wholeFrames) Close() error { return w.body.Close() }

func (w *wholeFrames) Read(p []byte) (int, error) {
	if len(w.ready) == 0 {
		w.ready = nil
		if w.in == nil {
			w.in = make([]byte, 16<<10)
		}
	}
	for len(w.ready) == 0 {
		n, err := w.readSome()
		w.take(w.in[:n])
		switch {
		case len(w.ready) > 0: // the error comes again
		case err != nil:
			return 0, err
		case len(w.frame) > maxAnswer:
			return 0, errFrame
		}
	}
	n := copy(p, w.ready)
	w.ready = w.ready[n:]
	return n, nil
}

// readSome reads what comes, and gives up on a silent line by closing it.
func (w *wholeFrames) readSome() (int, error) {
	watch := time.AfterFunc(w.idle, func() { _ = w.body.Close() }) // which ends the read
	n, err := w.body.Read(w.in)
	if !watch.Stop() && err != nil && !errors.Is(err, io.EOF) {
		err = errSilent
	}
	return n, err
}

// take looks at what was read, byte by byte: a frame ends with an empty line.
func (w *wholeFrames) take(b []byte) {
	for _, c := range b {
		end := c == '\r' || c == '\n' && !w.cr
		second := c == '\n' && w.cr // of a CRLF: the line has ended already
		w.cr = c == '\r'
		switch {
		case second:
		case !end:
			w.frame = append(w.frame, c)
			w.content = true
			if !w.begun && len(w.frame) == len(bom) {
				w.begun = true
				if bytes.Equal(w.frame, bom) {
					w.frame, w.content = w.frame[:0], false
				}
			}
		case w.content:
			w.frame = append(w.frame, '\n')
			w.content, w.begun = false, true
		default:
			w.begun = true
			if len(w.frame) > 0 {
				w.ready = append(append(w.ready, w.frame...), '\n')
				w.frame = w.frame[:0]
			}
		}
	}
}
