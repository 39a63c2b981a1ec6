package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestStreamFromItsHeadOn(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	w.send(ann, c.Id, "c1", "é\r\n\u2028 \U0001F600 \"q\" ") // 2
	s := w.stream(bob.Token, c.Id, "", nil)
	h := s.resp.Header
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no",
		"Access-Control-Allow-Origin": "*", "Referrer-Policy": "no-referrer",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !s.resp.Close || h.Get("Date") == "" || s.resp.ContentLength != -1 || len(s.resp.TransferEncoding) > 0 {
		t.Errorf("%+v", s.resp)
	}
	first, err := s.next()
	must(t, err)
	if ms, err := strconv.Atoi(first.retry); first.event != "heartbeat" || err != nil || ms < 1000 || ms > 3000 {
		t.Fatalf("%+v", first)
	}
	s.want(1)
	f := s.want(2)
	if f.event != "message" || f.id != "2-"+w.store.Epoch() {
		t.Fatalf("%+v", f)
	}
	page := w.events(bob, c.Id, "?after=1")
	if page.Events[0].Text != "é\r\n\u2028 \U0001F600 \"q\" " || !strings.Contains(f.data, `"text":"é\r\n\u2028 `+"\U0001F600"+` \"q\" "`) {
		t.Fatalf("%s", f.data)
	}
	w.waiting(1)
	w.send(bob, c.Id, "mine", "3")
	if f := s.want(3); !strings.Contains(f.data, `"client_id":"mine"`) {
		t.Fatalf("the sender's own: %s", f.data)
	}
	w.send(ann, c.Id, "hers", "4")
	if f := s.want(4); strings.Contains(f.data, "client_id") {
		t.Fatalf("another's: %s", f.data)
	}
}

func TestStreamHeartbeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Heartbeat = 300 * time.Millisecond })
	ann := w.signUp("ann")
	c := w.group(ann)
	s := w.stream(ann.Token, c.Id, "?after=1", nil)
	for range 3 {
		if beat := s.heartbeat(); beat.Type != "heartbeat" || beat.ConversationID != c.Id || beat.LastSeq == nil || *beat.LastSeq != 1 || beat.At == "" {
			t.Fatalf("%+v", beat)
		}
	}
	w.send(ann, c.Id, "c1", "two")
	s.want(2)
	if beat := s.heartbeat(); *beat.LastSeq != 2 {
		t.Fatalf("%+v", beat)
	}
}

// Many readers of both kinds, which come and go, while many send: each ends
// with the whole log, in order, once.
func TestResumingReadersMissAndRepeatNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	const senders, each = 8, 60
	const last = 1 + senders*each
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			for n := range each {
				w.send(ann, c.Id, fmt.Sprintf("%d.%d", i, n), fmt.Sprint("from ", i, " ", n))
			}
		})
	}
	texts := make([]string, 8)
	for i := range texts {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			var all strings.Builder
			at, id := int64(0), ""
			take := func(seq int64, text string) {
				if at++; seq != at {
					t.Errorf("reader %d: seq %d, want %d", i, seq, at)
				}
				fmt.Fprintln(&all, seq, text)
			}
			for at < last && !t.Failed() {
				patience := 1 + random.IntN(40)
				if i%2 == 0 {
					page := w.events(bob, c.Id, fmt.Sprintf("?after=%s&wait=20&limit=%d", orZero(id), patience))
					for _, e := range page.Events {
						take(e.Seq, e.Text)
					}
					id = page.Cursor
					continue
				}
				var s *tap
				if random.IntN(2) == 0 {
					s = w.stream(bob.Token, c.Id, "?after="+orZero(id), nil)
				} else { // the header beats what the address says
					s = w.stream(bob.Token, c.Id, "?after=99999", map[string]string{"Last-Event-ID": orZero(id)})
				}
				for range patience {
					if at == last {
						break
					}
					f := s.must()
					var e Event
					fromJSON(t, f.data, &e)
					take(e.Seq, e.Text)
					id = f.id
				}
				s.close()
			}
			texts[i] = all.String()
		})
	}
	group.Wait()
	for i, text := range texts {
		if text != texts[0] {
			t.Errorf("reader %d read another log than reader 0", i)
		}
	}
}

func orZero(cursor string) string {
	if cursor == "" {
		return "0"
	}
	return cursor
}

func TestStreamEndings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.TicketAge = 2 * time.Second })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	ended := func(s *tap, event, code, detail string) {
		t.Helper()
		last, _ := s.rest()
		var p Problem
		fromJSON(t, last.data, &p)
		if last.event != event || p.Code != code || !strings.Contains(p.Detail, detail) {
			t.Errorf("ended with %+v, want %s %s", last, event, code)
		}
	}
	t.Run("cursor", func(*testing.T) {
		ended(w.stream(bob.Token, c.Id, "?after=99", nil), "reset", "cursor_reset", "/messages")
		ended(w.stream(bob.Token, c.Id, "?after=1-old", nil), "reset", "cursor_reset", "/messages")
		ended(w.stream(bob.Token, c.Id, "?after=1", map[string]string{"Last-Event-ID": "what"}), "reset", "cursor_reset", "/messages")
		w.refused(request{method: "GET", path: "/v1/conversations/" + c.Id + "/stream?after=what", token: bob.Token}, 400, "invalid", "after")
	})
	t.Run("ticket", func(*testing.T) {
		ticket := w.ticket(bob)
		s := w.stream("", c.Id, "?after=1&ticket="+ticket, nil)
		ended(s, "end", "unauthorized", "ticket")
		ended(w.stream("", c.Id, "?after=1&ticket="+ticket, nil), "end", "unauthorized", "ticket")
		w.refused(request{method: "GET", path: "/v1/conversations/" + c.Id + "/stream?ticket=x"}, 401, "unauthorized", "")
	})
	t.Run("session", func(*testing.T) {
		token := w.signIn("bob")
		s, other := w.stream(token, c.Id, "?after=1", nil), w.stream(bob.Token, c.Id, "?after=1", nil)
		s.heartbeat()
		w.must(204, request{method: "DELETE", path: "/v1/sessions/current", token: token}, nil)
		ended(s, "end", "unauthorized", "session")
		w.send(ann, c.Id, "c1", "two")
		other.want(2) // goes on
		w.refused(request{method: "GET", path: "/v1/conversations/" + c.Id + "/stream", token: token}, 401, "unauthorized", "")
	})
	t.Run("removal", func(*testing.T) {
		s := w.stream(bob.Token, c.Id, "?after=1", nil)
		s.want(2)
		w.waiting(2) // the one of before too
		w.remove(ann, c.Id, bob)
		s.want(3)
		ended(s, "end", "not_found", "removal")
		ended(w.stream(bob.Token, c.Id, "?after=3", nil), "end", "not_found", "removal")
		late := w.stream(bob.Token, c.Id, "?after=1", nil)
		late.want(2)
		late.want(3)
		ended(late, "end", "not_found", "removal")
		eve := w.signUp("eve")
		w.refused(request{method: "GET", path: "/v1/conversations/" + c.Id + "/stream", token: eve.Token}, 404, "not_found", "")
	})
}

func TestStreamOfAReturnedMember(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	w.remove(ann, c.Id, bob)             // 2
	w.send(ann, c.Id, "c1", "a secret")  // 3
	w.add(ann, c.Id, "bob")              // 4
	w.send(ann, c.Id, "c2", "no secret") // 5
	s := w.stream(bob.Token, c.Id, "", nil)
	s.want(1)
	s.want(2)
	if f := s.want(3); f.event != "hidden" || f.id != "3-"+w.store.Epoch() || strings.Contains(f.data, "secret") {
		t.Fatalf("%+v", f)
	}
	s.want(4)
	s.want(5)
}

func TestStreamOfAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.StreamAge = 500 * time.Millisecond })
	ann := w.signUp("ann")
	c := w.group(ann)
	for i := range 300 {
		w.send(ann, c.Id, fmt.Sprint("c", i), "x")
	}
	last, seqs := w.stream(ann.Token, c.Id, "", nil).rest()
	if ms, err := strconv.Atoi(last.retry); last.event != "heartbeat" || err != nil || ms < 1000 || ms > 3000 || len(seqs) != 301 {
		t.Fatalf("%d events, then %+v", len(seqs), last)
	}
}

func TestStreamsEndWhenTheServerDrains(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	var streams []*tap
	for range 20 {
		streams = append(streams, w.stream(bob.Token, c.Id, "?after=1", nil))
	}
	w.waiting(20)
	w.send(ann, c.Id, "c1", "committed before the end")
	closed := make(chan error)
	go func() { closed <- w.Close(t.Context()) }()
	retries := map[string]bool{}
	for _, s := range streams {
		last, seqs := s.rest()
		if ms, err := strconv.Atoi(last.retry); last.event != "heartbeat" || err != nil || ms < 1000 || ms > 10000 || fmt.Sprint(seqs) != "[2]" {
			t.Fatalf("got %v, then %+v", seqs, last)
		}
		retries[last.retry] = true
	}
	must(t, <-closed)
	if len(retries) < 10 {
		t.Errorf("20 streams were told %d different times", len(retries))
	}
	late, err := w.stream(bob.Token, c.Id, "?after=1", nil).next()
	must(t, err)
	if late.event != "heartbeat" || late.retry == "" {
		t.Fatalf("one that came late: %+v", late)
	}
	w.refused(request{method: "GET", path: "/v1/conversations/" + c.Id + "/stream", token: bob.Token, header: map[string]string{"Accept": "text/plain"}}, 503, "shutting_down", "")
}

func TestDrainWithoutPatienceCuts(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	conn := w.dial(fmt.Sprintf("GET /v1/conversations/%s/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", c.Id, ann.Token))
	w.waiting(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.waiting(0)
	_, _ = io.Copy(io.Discard, conn) // ends, whole or cut
}

func TestStreamAsText(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Heartbeat = 300 * time.Millisecond })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	s := w.stream(bob.Token, c.Id, "?after=1", map[string]string{"Accept": "text/plain"})
	if got := s.resp.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Fatalf("type %q", got)
	}
	line := func() string {
		t.Helper()
		text, err := s.lines.ReadString('\n')
		must(t, err)
		return text
	}
	for range 3 { // at once, then of silence
		if got := line(); got != "\n" {
			t.Fatalf("%q", got)
		}
	}
	w.send(ann, c.Id, "c1", "one\ntwo")
	got := line()
	for got == "\n" {
		got = line()
	}
	if !strings.HasPrefix(got, "2\t") || !strings.HasSuffix(got, "\tmessage\t"+ann.User.Id+"\tone\\ntwo\n") {
		t.Fatalf("%q", got)
	}
	w.remove(ann, c.Id, bob)
	rest, err := io.ReadAll(s.lines)
	must(t, err)
	lines := strings.Split(strings.Trim(string(rest), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "3\t") || !strings.HasPrefix(lines[1], "# not_found: ") {
		t.Fatalf("%q", lines)
	}
	path := "/v1/conversations/" + c.Id + "/stream"
	plain := map[string]string{"Accept": "text/plain"}
	w.refused(request{method: "GET", path: path + "?after=99", token: ann.Token, header: plain}, 410, "cursor_reset", "after")
	w.refused(request{method: "GET", path: path + "?after=3", token: bob.Token, header: plain}, 404, "not_found", "")
}

func fromJSON(t testing.TB, data string, v any) {
	t.Helper()
	must(t, json.Unmarshal([]byte(data), v))
}
