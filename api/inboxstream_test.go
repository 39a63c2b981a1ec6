package api

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestInboxStreamFromItsHeadOn(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	head := w.send(ann, c, "1", "é\r\n\u2028 \U0001F600 \"q\" ").Seq // 2
	for _, from := range []string{"now", "start", ""} {
		query := ""
		if from != "" {
			query = "?from=" + from
		}
		s := w.inboxStream(bob.Token, query, nil)
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
		snapshot, err := s.next()
		must(t, err)
		if snapshot.event != "snapshot" || !strings.Contains(snapshot.data, fmt.Sprintf(`"last_message":{"conversation_id":"%s","seq":%d`, c, head)) {
			t.Fatalf("%+v", snapshot)
		}
		d := w.deviceOf(bob, from != "start")
		if from == "start" {
			for d.has(c) < head {
				d.follow(s)
			}
			if e := d.events[c][1]; e.Text != "é\r\n\u2028 \U0001F600 \"q\" " {
				t.Errorf("%+v", e)
			}
		}
		s.close()
		// The snapshot's id leads to what came after it.
		d.cursor = snapshot.id
		d.events, d.shown[c] = map[string][]Event{}, head
		head = w.send(bob, c, "mine"+from, "hello").Seq
		d.drain("")
		if all := d.events[c]; len(all) == 0 || all[len(all)-1].Seq != head || all[len(all)-1].ClientId != "mine"+from {
			t.Errorf("%+v", all)
		}
	}
}

func TestInboxStreamGoesOnFromWhatItIsHandedBack(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	d := w.connect(bob, "start")
	d.drain("")
	old := d.cursor
	for n := range 3 {
		w.send(ann, c, fmt.Sprint(n), "hello") // 2 to 4
	}
	next := func(query, id string) (string, int64) {
		t.Helper()
		header := map[string]string{}
		if id != "" {
			header["Last-Event-ID"] = id
		}
		s := w.inboxStream(bob.Token, query, header)
		defer s.close()
		f, e := s.event()
		return f.id, e.Seq
	}
	second, seq := next("?cursor="+old, "")
	if seq != 2 {
		t.Errorf("behind the cursor: %d", seq)
	}
	third, seq := next("?cursor="+old, second) // EventSource comes back to the same address
	if seq != 3 {
		t.Errorf("Last-Event-ID beats cursor: %d", seq)
	}
	if _, seq := next("?from=start", second); seq != 3 {
		t.Errorf("Last-Event-ID beats from: %d", seq)
	}
	if _, seq := next("?cursor=nonsense", third); seq != 4 {
		t.Errorf("beside a good Last-Event-ID a bad cursor is of no interest: %d", seq)
	}
	if _, seq := next("?cursor="+third, second); seq != 3 {
		t.Errorf("both disagree: %d", seq)
	}
}

func TestInboxStreamHeartbeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Heartbeat = 300 * time.Millisecond })
	ann := w.signUp("ann")
	d := w.connect(ann, "now")
	s := w.inboxStream(ann.Token, "?cursor="+d.cursor, nil)
	beats := 0
	beat := func() {
		t.Helper()
		f, err := s.next() // its form is checked there
		must(t, err)
		if f.event != "heartbeat" || f.retry != "" && beats > 0 {
			t.Fatalf("%+v", f)
		}
		beats++
	}
	for range 3 {
		beat()
	}
	c := w.group(ann).Id
	for d.has(c) == 0 {
		d.follow(s)
	}
	beat()
	// What is handed back after silence goes on as ever.
	w.send(ann, c, "1", "hello")
	d.drain("")
	if d.seqs(c) != "1 2" {
		t.Errorf("%s", d.seqs(c))
	}
}

func TestInboxStreamEndings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.TicketAge = 2 * time.Second })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	good := w.connect(bob, "now").cursor
	t.Run("cursor", func(*testing.T) {
		w.inboxStream(bob.Token, "", map[string]string{"Last-Event-ID": "what"}).ended("reset", "cursor_reset", "Begin again")
		w.inboxStream(bob.Token, "?cursor="+good, map[string]string{"Last-Event-ID": good[:len(good)-1]}).ended("reset", "cursor_reset", "Begin again")
		w.inboxStream(bob.Token, "", map[string]string{"Last-Event-ID": w.connect(ann, "now").cursor}).ended("reset", "cursor_reset", "Begin again")
		w.inboxStream(bob.Token, "?cursor="+otherEpoch(t, good), nil).ended("reset", "cursor_reset", "restored")
		w.refused(request{method: "GET", path: "/v1/inbox/stream?cursor=what", token: bob.Token}, 400, "invalid", "cursor")
		plain := map[string]string{"Accept": "text/plain"}
		w.refused(request{method: "GET", path: "/v1/inbox/stream?cursor=" + otherEpoch(t, good), token: bob.Token, header: plain}, 410, "cursor_reset", "cursor")
	})
	t.Run("ticket", func(*testing.T) {
		ticket := w.ticket(bob)
		w.inboxStream("", "?cursor="+good+"&ticket="+ticket, nil).ended("end", "unauthorized", "ticket")
		w.inboxStream("", "?cursor="+good+"&ticket="+ticket, nil).ended("end", "unauthorized", "ticket")
		w.refused(request{method: "GET", path: "/v1/inbox/stream?ticket=x"}, 401, "unauthorized", "")
		w.refused(request{method: "GET", path: "/v1/inbox/stream"}, 401, "unauthorized", "")
	})
	t.Run("session", func(*testing.T) {
		token := w.signIn("bob")
		s, other := w.inboxStream(token, "?cursor="+good, nil), w.inboxStream(bob.Token, "?cursor="+good, nil)
		w.waiting(2)
		w.must(204, request{method: "DELETE", path: "/v1/sessions/current", token: token}, nil)
		s.ended("end", "unauthorized", "session")
		w.send(ann, c, "1", "hello") // 2
		if _, e := other.event(); e.Seq != 2 {
			t.Errorf("%+v", e)
		}
		other.close()
		w.refused(request{method: "GET", path: "/v1/inbox/stream", token: token}, 401, "unauthorized", "")
	})
	t.Run("user", func(*testing.T) {
		s := w.inboxStream(bob.Token, "?cursor="+good, nil)
		_, _ = s.event()
		must(t, w.store.DisableUser(t.Context(), mustID(t, bob.User.Id)))
		s.ended("end", "unauthorized", "")
	})
}

func TestInboxStreamOfAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.StreamAge = 500 * time.Millisecond })
	ann := w.signUp("ann")
	c := w.group(ann).Id
	for n := range 300 {
		w.send(ann, c, fmt.Sprint(n), "x")
	}
	s := w.inboxStream(ann.Token, "?from=start", nil)
	d := w.deviceOf(ann, false)
	var last frame
	for {
		f, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		last = f
		if f.id != "" && f.event != "snapshot" {
			var e Event
			fromJSON(t, f.data, &e)
			d.takeEvent(e)
		}
	}
	if ms, err := strconv.Atoi(last.retry); last.event != "heartbeat" || err != nil || ms < 1000 || ms > 3000 || d.has(c) != 301 {
		t.Errorf("at %d, then %+v", d.has(c), last)
	}
}

func TestInboxStreamsEndWhenTheServerDrains(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	first := w.connect(bob, "start")
	first.drain("")
	streams := map[*inboxTap]*device{}
	for range 10 {
		streams[w.inboxStream(bob.Token, "?cursor="+first.cursor, nil)] = first.fork()
	}
	w.waiting(10)
	w.send(ann, c, "1", "committed before the end") // 2
	closed := make(chan error)
	go func() { closed <- w.Close(t.Context()) }()
	for s, d := range streams {
		var last frame
		for {
			f, err := s.next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			if last = f; f.id != "" {
				var e Event
				fromJSON(t, f.data, &e)
				d.takeEvent(e)
			}
		}
		if ms, err := strconv.Atoi(last.retry); last.event != "heartbeat" || err != nil || ms < 1000 || ms > 10000 || d.has(c) != 2 {
			t.Errorf("at %d, then %+v", d.has(c), last)
		}
	}
	must(t, <-closed)
}

func TestInboxAsText(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Heartbeat = 300 * time.Millisecond })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	w.send(ann, c, "1", "one\n\ttwo") // 2
	plain := map[string]string{"Accept": "text/plain"}
	a := w.must(200, request{method: "GET", path: "/v1/inbox?from=start", token: bob.Token, header: plain}, nil)
	log := w.must(200, request{method: "GET", path: "/v1/conversations/" + c + "/events", token: bob.Token, header: plain}, nil)
	var want strings.Builder
	for line := range strings.Lines(string(log.body)) {
		want.WriteString(c + "\t" + line)
	}
	if string(a.body) != want.String() || strings.Count(want.String(), "\n") != 2 {
		t.Errorf("%q, want %q", a.body, want.String())
	}
	d := w.deviceOf(bob, false)
	d.takeCursor(a.header.Get("Holdline-Cursor"))
	if d.poll(""); len(d.events) > 0 {
		t.Errorf("behind the text's cursor: %v", d.events)
	}

	s := w.inboxStream(bob.Token, "?cursor="+d.cursor, plain)
	if got := s.resp.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("type %q", got)
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
	w.ack(ann, Acks{Read: Watermarks{c: 2}}) // a receipt is no line
	w.send(ann, c, "2", "three\nfour")       // 3
	got := line()
	for got == "\n" {
		got = line()
	}
	if fields := strings.Split(got, "\t"); len(fields) != 6 || fields[0] != c || fields[1] != "3" || fields[5] != "three\\nfour\n" {
		t.Errorf("%q", got)
	}
	behind := line()
	cursor, found := strings.CutPrefix(strings.TrimSuffix(behind, "\n"), "# cursor: ")
	if !found {
		t.Fatalf("%q", behind)
	}
	w.send(ann, c, "3", "five") // 4
	d.takeCursor(cursor)
	if d.drain(""); d.seqs(c) != "4" {
		t.Errorf("behind the stream's cursor: %s", d.seqs(c))
	}
	first := w.inboxStream(bob.Token, "", plain)
	if got := []string{readLine(t, first), readLine(t, first)}; got[0] != "\n" || !strings.HasPrefix(got[1], "# cursor: ") {
		t.Errorf("a first connect begins %q", got)
	}
}

func readLine(t testing.TB, s *inboxTap) string {
	t.Helper()
	text, err := s.lines.ReadString('\n')
	must(t, err)
	return text
}

func TestInboxRoutesAnswerHeadAndPreflight(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	head := w.must(200, request{method: "HEAD", path: "/v1/inbox", token: ann.Token}, nil)
	if len(head.body) != 0 || head.header.Get("Content-Length") == "" || head.header.Get("Content-Length") == "0" {
		t.Errorf("%v %q", head.header, head.body)
	}
	if a := w.do(request{method: "HEAD", path: "/v1/inbox/stream", token: ann.Token}); a.status != 405 || a.header.Get("Allow") == "" {
		t.Errorf("HEAD of a stream: %d %v", a.status, a.header)
	}
	w.refused(request{method: "POST", path: "/v1/inbox", token: ann.Token}, 405, "method_not_allowed", "")
	for _, path := range []string{"/v1/inbox", "/v1/inbox/stream", "/v1/me"} {
		a := w.must(204, request{method: "OPTIONS", path: path, header: map[string]string{"Origin": "http://a.test", "Access-Control-Request-Method": "PATCH"}}, nil)
		if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Last-Event-ID") || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PATCH") {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	a := w.must(200, request{method: "GET", path: "/v1/inbox", token: ann.Token, header: map[string]string{"Origin": "http://a.test"}}, nil)
	if !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Holdline-Cursor") {
		t.Errorf("%v", a.header)
	}
}
