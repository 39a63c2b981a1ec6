package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// stream is one open text/event-stream answer. It is used by one goroutine.
type stream struct {
	w       *wire
	chunked bool
	left    int64 // of the current chunk
	ended   bool  // the current chunk's own CRLF is still to come
	frames  frames
}

// openStream sends a request whose answer must be a 200 that lasts.
func openStream(addr string, request []byte, bufferSize int) (*stream, error) {
	w, err := dial(addr, bufferSize)
	if err != nil {
		return nil, err
	}
	s, err := startStream(w, request)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return s, nil
}

func startStream(w *wire, request []byte) (*stream, error) {
	if err := w.conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return nil, err
	}
	h, err := w.readHead()
	if err != nil {
		return nil, err
	}
	if h.status != 200 {
		body, err := w.readBody(h)
		return nil, errors.Join(fmt.Errorf("stream answered %d: %s", h.status, body), err)
	}
	if h.length >= 0 {
		return nil, fmt.Errorf("stream answered with a Content-Length of %d", h.length)
	}
	if err := w.conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return &stream{w: w, chunked: h.chunked}, nil
}

func (s *stream) Close() error { return s.w.Close() }

// read waits for bytes, at most one read of the socket, and calls got for each
// frame that they complete. The frame is valid during the call. The end of the
// stream is io.EOF.
func (s *stream) read(got func(frame []byte)) error {
	w := s.w
	if w.start == w.end {
		if err := w.fill(); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) && !s.chunked {
				return io.EOF
			}
			return err
		}
	}
	if !s.chunked {
		data := w.buf[w.start:w.end]
		w.start = w.end
		s.frames.feed(data, got)
		return nil
	}
	return s.readChunked(got)
}

// readChunked takes the chunk framing off what has been read. A chunk's first
// line is read to its end, though it should need a second read of the socket.
func (s *stream) readChunked(got func(frame []byte)) error {
	w := s.w
	for w.start < w.end {
		if s.left == 0 {
			line, err := w.line()
			if err != nil {
				return err
			}
			if s.ended {
				s.ended = false
				if len(line) != 0 {
					return fmt.Errorf("a chunk is longer than it said: %q", line)
				}
				continue
			}
			if s.left, err = chunkSize(line); err != nil {
				return err
			}
			if s.left == 0 {
				return io.EOF
			}
			s.ended = true
			continue
		}
		n := min(s.left, int64(w.end-w.start))
		data := w.buf[w.start : w.start+int(n)]
		w.start += int(n)
		s.left -= n
		s.frames.feed(data, got)
	}
	return nil
}

// frames cuts a byte stream into SSE frames: blocks that end in an empty line.
// It knows lines that end in LF, which is what Holdline writes; a stream with
// other line ends yields no frames at all.
type frames struct {
	partial []byte
}

var frameEnd = []byte("\n\n")

// feed takes the next bytes, in pieces of any size, and calls got for each
// frame they complete, its empty line included.
func (f *frames) feed(data []byte, got func(frame []byte)) {
	if len(f.partial) > 0 {
		// The end of the frame may lie across the seam: look from the last byte kept.
		from := len(f.partial) - 1
		f.partial = append(f.partial, data...)
		i := bytes.Index(f.partial[from:], frameEnd)
		if i < 0 {
			return
		}
		end := from + i + len(frameEnd)
		got(f.partial[:end])
		// The rest lies in data as well, at its end.
		data = data[len(data)-(len(f.partial)-end):]
		f.partial = f.partial[:0]
	}
	for len(data) > 0 {
		i := bytes.Index(data, frameEnd)
		if i < 0 {
			f.partial = append(f.partial, data...)
			return
		}
		got(data[:i+len(frameEnd)])
		data = data[i+len(frameEnd):]
	}
}

var idField = []byte("\nid:")

// frameSeq returns the seq of a log event's frame, from its id line
// `id: SEQ-EPOCH`. Heartbeats and other ephemeral frames have no id: ok is false.
// (Data is one line of JSON in which a line feed cannot stand, so a line that
// begins with id: is the field.)
func frameSeq(frame []byte) (seq int64, ok bool) {
	i := bytes.LastIndex(frame, idField)
	if i < 0 {
		return 0, false
	}
	for _, c := range bytes.TrimPrefix(frame[i+len(idField):], []byte(" ")) {
		if c < '0' || c > '9' {
			break
		}
		seq = seq*10 + int64(c-'0')
		ok = true
	}
	return seq, ok
}

var heartbeatEvent = []byte("event: heartbeat\n")

// isHeartbeat reports whether a frame is a heartbeat.
func isHeartbeat(frame []byte) bool { return bytes.Contains(frame, heartbeatEvent) }
