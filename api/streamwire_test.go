package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdline/store"
)

func TestStreamOverOldHTTP(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	// HTTP/1.0, and more bytes after the request, which nobody reads.
	conn := w.dial(fmt.Sprintf("GET /v1/conversations/%s/stream HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\nGET / HTTP/1.0\r\n\r\n", c.Id, ann.Token))
	r := bufio.NewReader(conn)
	var head []string
	for {
		line, err := r.ReadString('\n')
		must(t, err)
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			break
		}
		head = append(head, line)
	}
	all := strings.Join(head, "\n")
	if !strings.HasPrefix(all, "HTTP/1.1 200 OK\n") || !strings.Contains(all, "\nConnection: close") || strings.Contains(all, "\nTransfer-Encoding") || strings.Contains(all, "\nContent-Length") {
		t.Fatal(all)
	}
	w.waiting(1)
	w.send(ann, c.Id, "c1", "two")
	closed := make(chan error)
	go func() { closed <- w.Close(t.Context()) }()
	rest, err := io.ReadAll(r) // not reset, for all that was never read
	must(t, err)
	must(t, conn.Close())
	must(t, <-closed)
	if body := string(rest); !strings.Contains(body, "\nid: 2-"+w.store.Epoch()+"\n\n") || !strings.HasSuffix(body, "}\n\n") {
		t.Fatalf("%q", body)
	}
}

func TestStreamOverHTTP2(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Heartbeat = 300 * time.Millisecond })
	ann := w.signUp("ann")
	c := w.group(ann)
	server := httptest.NewUnstartedServer(w.Handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/v1/conversations/"+c.Id+"/stream", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+ann.Token)
	resp, err := server.Client().Do(req)
	must(t, err)
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 || resp.Header.Get("Connection") != "" {
		t.Fatalf("%+v", resp)
	}
	s := &tap{t, resp, bufio.NewReader(resp.Body), cancel}
	s.heartbeat()
	s.want(1)
	w.send(ann, c.Id, "c1", "two")
	s.want(2)
	s.heartbeat()
	s.close()
	w.waiting(0) // its end is noticed at once
}

func TestSlowReaderIsCutAndDelaysNobody(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WriteTimeout, c.Heartbeat = time.Second, 500*time.Millisecond })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	slow := w.dial(fmt.Sprintf("GET /v1/conversations/%s/stream?after=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", c.Id, bob.Token))
	must(t, slow.(*net.TCPConn).SetReadBuffer(4096))
	fast := w.stream(bob.Token, c.Id, "?after=1", nil)
	w.waiting(2)
	text := strings.Repeat("s", store.MaxTextBytes)
	worst := time.Duration(0)
	sent, cut := int64(1), false
	for sent < 2000 && !cut { // 32 MiB: more than the kernel keeps
		began := time.Now()
		w.send(ann, c.Id, fmt.Sprint("c", sent), text)
		sent++
		fast.want(sent)
		worst = max(worst, time.Since(began))
		cut = w.poller.Stats().Waiting == 1
	}
	eventually(t, "the slow reader is cut", func() bool { return w.poller.Stats().Waiting == 1 })
	if worst > 5*time.Second {
		t.Errorf("the other waited %v", worst)
	}
	if s := w.poller.Stats(); s.RingBytes > 3<<20 || s.PageBytes > 33<<20 {
		t.Errorf("%+v", s)
	}
	got, err := io.ReadAll(slow)
	if err == nil || int64(len(got)) > sent*int64(len(text)) {
		t.Errorf("the slow reader got %d bytes and a clean end", len(got))
	}
	// What it got before the cut is the log, as far as whole frames go.
	frames := strings.Split(string(got), "\n\n")
	seq := int64(1)
	for _, f := range frames[:len(frames)-1] {
		if at := strings.LastIndex(f, "\nid: "); at >= 0 {
			if seq++; f[at+5:] != formatCursor(seq, w.store.Epoch()) {
				t.Fatalf("frame %q where %d was due", f[at+5:], seq)
			}
		}
	}
}
