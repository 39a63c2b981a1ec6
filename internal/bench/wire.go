package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ioTimeout bounds one request and its answer. It is far above what any
// measured call may take, so that a server that hangs fails the run.
const ioTimeout = 30 * time.Second

// maxHead bounds the head of an answer, maxBody a finite body: a page ends at
// about 1 MiB of events, and receipts come on top.
const (
	maxHead = 64 << 10
	maxBody = 4 << 20
)

// wire is one HTTP/1.1 client connection. It is used by one goroutine at a time.
type wire struct {
	conn       net.Conn
	buf        []byte // buf[start:end] has been read and not yet consumed
	start, end int
}

// dial opens a connection whose read buffer is size bytes at first.
func dial(addr string, size int) (*wire, error) {
	conn, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, buf: make([]byte, size)}, nil
}

func (w *wire) Close() error { return w.conn.Close() }

// do writes one complete request and reads the answer. body is valid until the
// next call.
func (w *wire) do(request []byte) (status int, body []byte, err error) {
	if err := w.conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return 0, nil, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return 0, nil, err
	}
	h, err := w.readHead()
	if err != nil {
		return 0, nil, err
	}
	body, err = w.readBody(h)
	return h.status, body, err
}

// head is what framing needs of an answer's head.
type head struct {
	status  int
	length  int64 // Content-Length; -1 when absent
	chunked bool
}

// readHead reads a status line and the header fields (RFC 9112, sections 4 and 5).
func (w *wire) readHead() (head, error) {
	h := head{length: -1}
	line, err := w.line()
	if err != nil {
		return h, err
	}
	// HTTP/1.1 SP three digits SP reason
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return h, fmt.Errorf("not an HTTP/1.1 status line: %q", line)
	}
	status, err := decimal(line[9:12])
	if err != nil {
		return h, fmt.Errorf("not an HTTP/1.1 status line: %q", line)
	}
	h.status = int(status)
	for {
		line, err := w.line()
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return h, fmt.Errorf("header line without a colon: %q", line)
		}
		value = bytes.Trim(value, " \t")
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = decimal(value); err != nil {
				return h, fmt.Errorf("Content-Length %q: %w", value, err)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			if !bytes.EqualFold(value, []byte("chunked")) {
				return h, fmt.Errorf("Transfer-Encoding %q is not understood", value)
			}
			h.chunked = true
		}
	}
}

// readBody reads a finite body: one with a Content-Length, none for 204 and
// 304, or one in chunks.
func (w *wire) readBody(h head) ([]byte, error) {
	switch {
	case h.status == 204 || h.status == 304:
		return nil, nil
	case h.chunked:
		return w.readChunks()
	case h.length < 0:
		return nil, errors.New("answer without a length: it would last until the connection closes")
	case h.length > maxBody:
		return nil, fmt.Errorf("answer of %d bytes is longer than %d", h.length, maxBody)
	}
	w.reserve(int(h.length))
	for int64(w.end-w.start) < h.length {
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
	body := w.buf[w.start : w.start+int(h.length)]
	w.start += int(h.length)
	return body, nil
}

// readChunks reads a whole chunked body (RFC 9112, section 7.1).
func (w *wire) readChunks() ([]byte, error) {
	var body []byte
	for {
		line, err := w.line()
		if err != nil {
			return nil, err
		}
		size, err := chunkSize(line)
		if err != nil {
			return nil, err
		}
		if int64(len(body))+size > maxBody {
			return nil, fmt.Errorf("answer is longer than %d bytes", maxBody)
		}
		w.reserve(int(size))
		for int64(w.end-w.start) < size {
			if err := w.fill(); err != nil {
				return nil, err
			}
		}
		body = append(body, w.buf[w.start:w.start+int(size)]...)
		w.start += int(size)
		// A chunk ends in an empty line of its own; what may stand before the
		// last one's is the trailer section.
		for {
			line, err := w.line()
			if err != nil {
				return nil, err
			}
			if len(line) == 0 {
				break
			}
			if size > 0 {
				return nil, fmt.Errorf("a chunk is longer than it said: %q", line)
			}
		}
		if size == 0 {
			return body, nil
		}
	}
}

// line returns the next line without its CRLF; valid until the next read.
func (w *wire) line() ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(w.buf[w.start+scanned:w.end], '\n'); i >= 0 {
			line := w.buf[w.start : w.start+scanned+i]
			w.start += scanned + i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		scanned = w.end - w.start
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

// reserve makes room for n bytes that have not been consumed.
func (w *wire) reserve(n int) {
	if w.start+n <= len(w.buf) {
		return
	}
	buf := w.buf
	if n > len(buf) {
		buf = make([]byte, n)
	}
	w.end = copy(buf, w.buf[w.start:w.end])
	w.start, w.buf = 0, buf
}

// fill reads once, making room first. A connection that ends is
// io.ErrUnexpectedEOF: nobody calls fill who could do without more.
func (w *wire) fill() error {
	if w.start == w.end {
		w.start, w.end = 0, 0
	}
	if w.end == len(w.buf) {
		switch {
		case w.start > 0:
			w.end = copy(w.buf, w.buf[w.start:w.end])
			w.start = 0
		case len(w.buf) >= 2*maxHead:
			return fmt.Errorf("a line or body is longer than %d bytes", len(w.buf))
		default:
			w.buf = append(w.buf, make([]byte, max(512, len(w.buf)))...)
		}
	}
	n, err := w.conn.Read(w.buf[w.end:])
	w.end += n
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decimal parses digits and nothing else.
func decimal(b []byte) (int64, error) {
	if len(b) == 0 || len(b) > 18 {
		return 0, fmt.Errorf("%q is not a number", b)
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a number", b)
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// chunkSize parses a chunk's first line: hexadecimal digits, then perhaps extensions.
func chunkSize(line []byte) (int64, error) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 8 {
		return 0, fmt.Errorf("%q is not a chunk size", line)
	}
	var n int64
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		default:
			return 0, fmt.Errorf("%q is not a chunk size", line)
		}
	}
	return n, nil
}
