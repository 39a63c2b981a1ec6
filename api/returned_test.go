package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// ownConns are the connections of the polls and streams that wait on their own.
func (w *world) ownConns() (conns []net.Conn) {
	w.live.mu.Lock()
	defer w.live.mu.Unlock()
	for p := range w.live.parked {
		conns = append(conns, p.conn)
	}
	for st := range w.live.streams {
		conns = append(conns, st.conn)
	}
	return conns
}

// A poll's body is no request: whoever stands between takes it for a body too,
// and would give its answer to somebody else.
func TestBodyOfAWaitingPollIsNotTheNextRequest(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	within := "GET /healthz?t=within HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, body := range map[string]string{
		"a length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(within), within),
		"chunks":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(within), within),
	} {
		l := w.line()
		_, err := fmt.Fprintf(l.conn, "GET /v1/inbox?wait=1&cursor=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s",
			w.inbox(ann, "").Cursor, ann.Token, body)
		must(t, err)
		if status, text, _ := l.answer(); status != 200 || !strings.Contains(text, `"cursor"`) {
			t.Fatalf("%s: %d %s", name, status, text)
		}
		l.ask("/v1/me", ann.Token)
		a, err := http.ReadResponse(l.in, nil)
		if err != nil {
			continue // closed: as good
		}
		if text, err := io.ReadAll(a.Body); err != nil || !strings.Contains(string(text), `"ann"`) {
			t.Errorf("%s: the next request got %d %s, %v", name, a.StatusCode, text, err)
		}
	}
}

// However often a connection has polled, it is the connection itself that waits.
func TestConnectionKeepsNothingOfItsPolls(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	l := w.line()
	for n := range 3 {
		l.ask(fmt.Sprintf("/v1/conversations/%s/events?wait=20&after=%d", c, n+1), bob.Token)
		w.waiting(1)
		for _, conn := range w.ownConns() {
			if _, bare := conn.(*net.TCPConn); !bare {
				t.Fatalf("poll %d waits on a %T", n, conn)
			}
		}
		w.send(ann, c, fmt.Sprint(n), "text")
		if status, body, _ := l.answer(); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	l.ask("/v1/conversations/"+c+"/stream?after=4", bob.Token)
	w.waiting(1)
	eventually(t, "a stream on the connection itself", func() bool {
		conns := w.ownConns()
		if len(conns) != 1 {
			return false
		}
		_, bare := conns[0].(*net.TCPConn)
		return bare
	})
}

// What a client sends ahead, in pieces, behind several polls, comes in its order.
func TestRequestsAheadOfSeveralPollsKeepTheirOrder(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	l := w.line()
	var all strings.Builder
	for n := range 4 {
		fmt.Fprintf(&all, "GET /v1/conversations/%s/events?wait=20&limit=1&after=%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", c, n+1, bob.Token)
		fmt.Fprintf(&all, "GET /v1/users?handle=nobody-%d&t=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", n, strings.Repeat("x", 3000), bob.Token)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := l.conn.Write([]byte(all.String()))
		sent <- err
	}()
	for n := range 4 {
		w.waiting(1)
		w.send(ann, c, fmt.Sprint(n), fmt.Sprint("text ", n))
		if status, body, _ := l.answer(); status != 200 || !strings.Contains(body, fmt.Sprintf(`"text":"text %d"`, n)) {
			t.Fatalf("poll %d: %d %s", n, status, body)
		}
		if status, body, _ := l.answer(); status != 200 || body != `{"users":[]}` {
			t.Fatalf("the request behind poll %d: %d %s", n, status, body)
		}
	}
	must(t, <-sent)
}
