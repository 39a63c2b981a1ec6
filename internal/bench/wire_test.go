package bench

import (
	"errors"
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
