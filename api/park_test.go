package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// line is a connection on which a test speaks HTTP by hand.
type line struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func (w *world) line() *line {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	must(w.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &line{w.t, conn, bufio.NewReader(conn)}
}

func (l *line) ask(path, token string, more ...string) {
	l.t.Helper()
	_, err := fmt.Fprintf(l.conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n", path, token, strings.Join(more, ""))
	must(l.t, err)
}

func (l *line) answer() (int, string, http.Header) {
	l.t.Helper()
	a, err := http.ReadResponse(l.in, nil)
	must(l.t, err)
	body, err := io.ReadAll(a.Body)
	must(l.t, err)
	return a.StatusCode, string(body), a.Header
}

// A connection whose poll has waited carries further requests, polls among
// them, also one that was sent before the answer.
func TestConnectionOfAPollGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	events := "/v1/conversations/" + c + "/events?wait=20&after="
	l := w.line()
	for n := range 3 {
		l.ask(events+fmt.Sprint(n+1), bob.Token)
		w.waiting(1)
		if n == 1 {
			l.ask("/v1/me", bob.Token) // ahead of its turn
		}
		w.send(ann, c, fmt.Sprint(n), fmt.Sprint("text ", n))
		status, body, h := l.answer()
		if status != 200 || !strings.Contains(body, fmt.Sprintf(`"text":"text %d"`, n)) {
			t.Fatalf("%d %s", status, body)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Date") == "" {
			t.Errorf("headers of an answer that waited: %v", h)
		}
		if n == 1 {
			if status, body, _ := l.answer(); status != 200 || !strings.Contains(body, `"bob"`) {
				t.Fatalf("the request sent ahead: %d %s", status, body)
			}
		}
		l.ask("/v1/me", bob.Token)
		if status, body, _ := l.answer(); status != 200 || !strings.Contains(body, `"bob"`) {
			t.Fatalf("a request after the poll: %d %s", status, body)
		}
	}
	l.ask("/v1/inbox?wait=20&cursor="+w.inbox(bob, "").Cursor, bob.Token, "Connection: close\r\n")
	w.waiting(1)
	w.send(ann, c, "last", "the last")
	if status, body, _ := l.answer(); status != 200 || !strings.Contains(body, "the last") {
		t.Fatalf("%d %s", status, body)
	}
	if b, err := l.in.ReadByte(); err != io.EOF {
		t.Fatalf("after Connection: close: %v, %v", b, err)
	}
}

// An answered poll's connection is closed after the time that idle ones have.
func TestIdleConnectionOfAPollEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.IdleTimeout = 50 * time.Millisecond })
	ann := w.signUp("ann")
	l := w.line()
	l.ask("/v1/inbox?wait=1&cursor="+w.inbox(ann, "").Cursor, ann.Token)
	if status, body, _ := l.answer(); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if b, err := l.in.ReadByte(); err != io.EOF {
		t.Fatalf("an idle connection: %v, %v", b, err)
	}
}

// What goes wrong while a poll waits is answered as anywhere else.
func TestWaitingPollIsToldOfTheEndOfItsSession(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	l := w.line()
	l.ask("/v1/inbox?wait=20&cursor="+w.inbox(ann, "").Cursor, ann.Token)
	w.waiting(1)
	w.must(204, request{method: "DELETE", path: "/v1/sessions/current", token: ann.Token}, nil)
	status, body, h := l.answer()
	if status != 401 || !strings.Contains(body, `"code":"unauthorized"`) || h.Get("WWW-Authenticate") == "" ||
		h.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s %v", status, body, h)
	}
}
