package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// scripted is a connection whose peer says input, at most step bytes a read.
type scripted struct {
	net.Conn
	input string
	step  int
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.input == "" {
		return 0, io.EOF
	}
	n := copy(p, s.input[:min(s.step, len(s.input))])
	s.input = s.input[n:]
	return n, nil
}

func (s *scripted) Close() error { return nil }

func scriptedWire(input string, step int) *wire {
	return &wire{conn: &scripted{input: input, step: step}, buf: make([]byte, 16)}
}

func TestAnswersAreReadWhateverTheCuts(t *testing.T) {
	const input = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\ncontent-length: 7\r\n\r\n{\"a\":1}" +
		"HTTP/1.1 204 No Content\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10;x=y\r\n, chunked world!\r\n0\r\nTrailer: 1\r\n\r\n" +
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
	want := []struct {
		status int
		body   string
	}{{201, `{"a":1}`}, {204, ""}, {200, "hello, chunked world!"}, {503, ""}}
	for step := 1; step <= len(input); step++ {
		w := scriptedWire(input, step)
		for _, want := range want {
			h, err := w.readHead()
			if err != nil {
				t.Fatalf("step %d: head: %v", step, err)
			}
			body, err := w.readBody(h)
			if err != nil {
				t.Fatalf("step %d: body: %v", step, err)
			}
			if h.status != want.status || string(body) != want.body {
				t.Fatalf("step %d: got %d %q, want %d %q", step, h.status, body, want.status, want.body)
			}
		}
		if _, err := w.readHead(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("step %d: after the last answer: %v", step, err)
		}
	}
}

func TestAnswersThatAreNotHTTPAreRefused(t *testing.T) {
	for _, input := range []string{
		"hello\r\n\r\n",
		"HTTP/1.1 2x1 Odd\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 3*maxHead),
	} {
		w := scriptedWire(input, 64)
		h, err := w.readHead()
		if err == nil {
			_, err = w.readBody(h)
		}
		if err == nil {
			t.Errorf("%.60q was read without an error", input)
		}
	}
}

func TestLongBodiesAreReadWhole(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 3*maxHead/16)
	const next = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for name, input := range map[string]string{
		"with a length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long),
		"in chunks":     fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long),
	} {
		w := scriptedWire(input+next, 1000)
		for _, want := range []string{long, "ok"} {
			h, err := w.readHead()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if body, err := w.readBody(h); err != nil || string(body) != want {
				t.Errorf("%s: %d bytes of %d, %v", name, len(body), len(want), err)
			}
		}
	}
}

func TestMakingRoomKeepsWhatWasRead(t *testing.T) {
	w := &wire{buf: []byte("xxabcx"), start: 2, end: 5}
	w.reserve(4) // fits: nothing moves
	if w.start != 2 {
		t.Errorf("moved to %d", w.start)
	}
	w.reserve(6)
	if w.start != 0 || string(w.buf[w.start:w.end]) != "abc" || len(w.buf) != 6 {
		t.Errorf("moved to the front: %q of %d", w.buf[w.start:w.end], len(w.buf))
	}
	w.reserve(100)
	if string(w.buf[w.start:w.end]) != "abc" || len(w.buf) < 100 {
		t.Errorf("made longer: %q of %d", w.buf[w.start:w.end], len(w.buf))
	}
}
