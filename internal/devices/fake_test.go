package devices

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fake server says, byte by byte, what a real one would say only by bad luck.
type fake struct {
	t        *testing.T
	listener net.Listener
	answer   func(n int, r *http.Request) reply
	group    sync.WaitGroup
	done     chan struct{}

	mu    sync.Mutex
	asked []string // path and query of each request
}

// reply is a raw answer. Where it is split, the rest follows in a piece of its
// own; cut, the connection ends with it; held, it ends when the client has gone.
type reply struct {
	raw       string
	split     int
	cut, held bool
}

func newFake(t *testing.T, answer func(n int, r *http.Request) reply) *fake {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, listener: listener, answer: answer, done: make(chan struct{})}
	f.group.Go(f.accept)
	t.Cleanup(func() {
		close(f.done)
		_ = listener.Close() // nothing is lost with it
		f.group.Wait()
	})
	return f
}

func (f *fake) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		served := make(chan struct{})
		f.group.Go(func() {
			defer close(served)
			f.serve(conn)
		})
		f.group.Go(func() {
			select {
			case <-f.done:
			case <-served:
			}
			_ = conn.Close() // a read that waits ends with it
		})
	}
}

func (f *fake) serve(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		f.mu.Lock()
		n := len(f.asked)
		f.asked = append(f.asked, r.RequestURI)
		answer := f.answer(n, r)
		f.mu.Unlock()
		split := min(answer.split, len(answer.raw))
		for _, piece := range []string{answer.raw[:split], answer.raw[split:]} {
			if _, err := conn.Write([]byte(piece)); err != nil {
				return
			}
		}
		switch {
		case answer.held:
			_, _ = reader.ReadByte() // nothing comes but the end
			return
		case answer.cut:
			return
		}
	}
}

// requests is how often the client has asked.
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (f *fake) args(t *testing.T, b build, args ...string) []string {
	t.Helper()
	return slices.Concat([]string{compile(t, b)}, address(t, f.listener.Addr().String()), []string{"token"}, args)
}

const (
	conversation = "4Jx0aQ7bTz1"
	person       = "7Vb3mNc1LpA"
)

// chunked is an answer in chunks of some bytes, each size with an extension,
// and a trailer.
func chunked(status, kind, body string, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\nContent-Type: %s\r\ntransfer-encoding:  Chunked\r\n\r\n", status, kind)
	for chunk := range slices.Chunk([]byte(body), size) {
		fmt.Fprintf(&b, "%X;a=b\r\n%s\r\n", len(chunk), chunk)
	}
	b.WriteString("0\r\nX-Trailer: x\r\n\r\n")
	return b.String()
}

func sized(status, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\nCONTENT-LENGTH:%d \r\n", status, len(body))
	for _, header := range headers {
		b.WriteString(header + "\r\n")
	}
	return b.String() + "\r\n" + body
}

// What an event looks like in each of the ways JSON has of saying the same, and
// the line that is to be printed.
func event(seq int64) (data, line string) {
	texts := []struct{ json, shown string }{
		{`"plain"`, "plain"},
		{`"\ud83d\ude00 \u00e9\u0041 😀"`, "😀 éA 😀"},
		{`"lone \ud83d, \ude00, \ud83dx\ud83d\u0041"`, "lone \ufffd, \ufffd, \ufffdx\ufffdA"},
		{`"\"\\\/\b\f\n\r\t\u0000\u001b"`, `"\\/\u0008\u000c\n\r\t\u0000\u001b`},
		{`"` + strings.Repeat("x", 40) + `"`, strings.Repeat("x", 40)},
	}
	text := texts[seq%int64(len(texts))]
	data = fmt.Sprintf(`{ "new":{"seq":99,"events":[{"seq":7}]},"conversation_id":"%s","seq":%d , "type":"message","sender_\u0069d":"%s","list":[1,-2.5e3,null,[true],{"text":"no"}],"text":%s,"accepted_at":"2026-11-25T08:00:00.000Z","reply_to":1}`,
		conversation, seq, person, text.json)
	return data, fmt.Sprintf("%d\t2026-11-25T08:00:00.000Z\tmessage\t%s\t%s", seq, person, text.shown)
}

func page(seqs ...int64) string {
	var events []string
	last := int64(0)
	for _, seq := range seqs {
		data, _ := event(seq)
		events = append(events, data)
		last = seq
	}
	return fmt.Sprintf(`{"snapshot":{"events":[{"seq":1,"text":"no"}]},"events":[%s],"cursor":"%d-k7q","more":false,"first_seq":1,"last_seq":%d}`,
		strings.Join(events, " , "), last, last)
}

func frame(seq int64, end string) string {
	data, _ := event(seq)
	half := strings.Index(data, "\"conv")
	return strings.Join([]string{": comment", "event: message", "data:" + data[:half], "data: " + data[half:], fmt.Sprintf("id: %d-k7q", seq), "other", "", ""}, end)
}

// after is the seq that a request goes on behind.
func after(r *http.Request) int64 {
	seq, _, _ := strings.Cut(r.URL.Query().Get("after"), "-")
	n, _ := strconv.ParseInt(seq, 10, 64) // 0 where there is none
	return n
}

// Each answer arrives in two pieces, split one byte later than the one before;
// and byte by byte. The same, cut there: the client comes back and has each event
// once.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	forms := map[string]func(seq int64) string{
		"chunked": func(seq int64) string { return chunked("200 OK", "application/json", page(seq), 7) },
		"sized":   func(seq int64) string { return sized("200 OK", page(seq)) },
		"stream": func(seq int64) string {
			return chunked("200 OK", "text/event-stream", "\ufeffretry: 1\r\n"+frame(seq, []string{"\r\n", "\n", "\r"}[seq%3]), 11)
		},
	}
	for name, form := range forms {
		for _, b := range []build{sanitized, bytewise} {
			for _, cut := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s %t", name, b.name, cut), func(t *testing.T) {
					t.Parallel()
					everyByte(t, b, form, name == "stream", cut)
				})
			}
		}
	}
}

func everyByte(t *testing.T, b build, form func(int64) string, stream, cut bool) {
	t.Helper()
	at, end := 0, len(form(1))+100
	if b.name == bytewise.name {
		at = end - 200 // before that it is the same as with a larger buffer
	}
	f := newFake(t, func(n int, r *http.Request) reply {
		seq := after(r) + 1
		raw := form(seq)
		if cut && n%2 == 1 { // it has waited long enough
			return reply{raw: raw}
		}
		at++
		if cut {
			return reply{raw: raw[:min(at, len(raw))], cut: true}
		}
		return reply{raw: raw, split: at}
	})
	args := []string{"follow", "--retry", "1", "--conversation", conversation}
	if stream {
		args = append(args, "--sse")
	}
	c := follow(t, b.name, f.args(t, b, args...)...)
	c.until("everything", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return at > end
	})
	c.kill()
	if len(c.got) < 20 {
		t.Fatalf("only %d lines", len(c.got))
	}
	for i, line := range c.got {
		if _, want := event(int64(i + 1)); line != want {
			t.Fatalf("line %d is %q instead of %q", i+1, line, want)
		}
	}
}

// script answers the requests one by one; the last answer is held open.
func script(t *testing.T, answers ...string) *fake {
	t.Helper()
	return newFake(t, func(n int, _ *http.Request) reply {
		return reply{raw: answers[min(n, len(answers)-1)], held: n >= len(answers)-1}
	})
}

func problem(status, code string, headers ...string) string {
	number, _, _ := strings.Cut(status, " ")
	body := fmt.Sprintf(`{"title":"no","status":%s,"code":"%s","detail":"because \u001b[31m"}`, number, code)
	return sized(status, body, append(headers, "Content-Type: application/problem+json")...)
}

func shown(seqs ...int64) (lines []string) {
	for _, seq := range seqs {
		_, line := event(seq)
		lines = append(lines, line)
	}
	return lines
}

// What servers and those between say, and what the client makes of it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	heartbeat := func(last int) string {
		return fmt.Sprintf("event: heartbeat\ndata: {\"type\":\"heartbeat\",\"last_seq\":%d}\n\n", last)
	}
	open := func(body string) string { return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body }
	hidden := strings.Replace(page(2), `"seq":2 , "type":"message"`, `"seq":2,"through_seq":9,"type":"hidden"`, 1)
	first := `{"conversation_id":"` + conversation + `","seq":1,"sender_id":"` + person + `","text":"a","accepted_at":"2026-11-25T08:00:00.000Z"}`
	lost := "# lost 2: the server does not give it"
	restored := "# reset: the server's log was restored; it follows from the beginning"
	tests := map[string]struct {
		answers []string
		want    []string
		asks    []string // parts of the requests, in order
		stream  bool
		compact bool // of the inbox
	}{
		"busy, then not": {
			answers: []string{problem("429 Too Many Requests", "rate_limited", "Retry-After: 1"), problem("503 Service Unavailable", "unavailable"), sized("500 No", "<html>"), sized("200 OK", page(1))},
			want:    shown(1),
		},
		"no JSON at all":             {answers: []string{sized("200 OK", "<html>sign in"), sized("200 OK", `{"events":[}`), sized("200 OK", ""), sized("200 OK", page(1))}, want: shown(1)},
		"interim answers":            {answers: []string{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + sized("200 OK", page(1))}, want: shown(1)},
		"no answers of HTTP":         {answers: []string{"SSH-2.0-x\r\n", "HTTP/1.1 2000 OK\r\n\r\n", sized("200 OK", page(1))}, want: shown(1)},
		"a header that is long":      {answers: []string{sized("200 OK", page(1), "X: "+strings.Repeat("Content-Length: 1 ", 500))}, want: shown(1)},
		"HTTP/1.0, until the end":    {answers: []string{"HTTP/1.0 200 OK\r\n\r\n" + page(1), sized("200 OK", page(2))}, want: shown(1, 2)},
		"nested too deep":            {answers: []string{sized("200 OK", strings.Repeat(`{"a":`, 40)), sized("200 OK", page(1))}, want: shown(1)},
		"a number that is too large": {answers: []string{sized("200 OK", `{"events":[{"seq":99999999999999999999}]}`), sized("200 OK", page(1))}, want: shown(1)},
		"a cursor that is too long":  {answers: []string{sized("200 OK", `{"events":[],"cursor":"`+strings.Repeat("1", 129)+`"}`), sized("200 OK", page(1))}, want: shown(1)},
		"twice":                      {answers: []string{sized("200 OK", page(1, 2)), sized("200 OK", page(1, 2, 3))}, want: shown(1, 2, 3)},
		"hidden": {
			answers: []string{sized("200 OK", page(1)), sized("200 OK", hidden), sized("200 OK", page(10))},
			want:    slices.Concat(shown(1), []string{strings.Replace(strings.Replace(shown(2)[0], "2\t", "9\t", 1), "message", "hidden", 1)}, shown(10)),
		},
		"a gap": {
			answers: []string{sized("200 OK", page(1, 3)), sized("200 OK", page(2, 3)), sized("200 OK", page(1, 3)), sized("200 OK", page(4))},
			want:    shown(1, 2, 3, 4), asks: []string{"events?limit=32&wait=1", "events?limit=32&after=1", "&wait=1", "&after=3-k7q"},
		},
		"a gap that stays": {
			answers: slices.Repeat([]string{sized("200 OK", page(1, 3)), sized("200 OK", page(3))}, 5),
			want:    slices.Concat(shown(1), []string{lost}, shown(3)),
		},
		"restored": {
			answers: []string{sized("200 OK", page(1)), problem("410 Gone", "cursor_reset"), sized("200 OK", page(1))},
			want:    slices.Concat(shown(1), []string{restored}, shown(1)), asks: []string{"&wait=1", "&after=1-k7q", "&wait=1"},
		},
		"compact: a gap in the inbox": {
			answers: []string{
				sized("200 OK", `{"events":[`+first+`,{"seq":2,"text":"b"},{"conversation_id":"AAAAAAAAAAA","seq":7,"type":"hidden"},{"conversation_id":"`+conversation+`","seq":5,"sender_id":"`+person+`"}],"cursor":"x"}`),
				sized("200 OK", `{"events":[{"seq":3,"sender_id":"`+person+`","text":"c\\","truncated":true,"accepted_at":"2026-11-25T08:00:00.000Z"}],"cursor":"4-k7q","more":true}`),
				sized("200 OK", `{"events":[{"seq":4,"sender_id":"`+person+`","accepted_at":"2026-11-25T08:00:00.000Z","text":"d"}],"cursor":"4-k7q"}`),
				sized("200 OK", `{"events":[{"conversation_id":"`+conversation+`","seq":5,"sender_id":"`+person+`","text":"e","accepted_at":"2026-11-25T08:00:00.000Z"},{"seq":6,"text":"f"}],"cursor":"y"}`),
			},
			want: []string{
				conversation + "\t1\t2026-11-25T08:00:00.000Z\tmessage\t" + person + "\ta", conversation + "\t2\t~2026-11-25T08:00:00.000Z\tmessage\t" + person + "\tb",
				"AAAAAAAAAAA\t7\t-\thidden\t-\t-", conversation + "\t3\t2026-11-25T08:00:00.000Z\tmessage\t" + person + "\tc\\\\\\",
				conversation + "\t4\t2026-11-25T08:00:00.000Z\tmessage\t" + person + "\td", conversation + "\t5\t2026-11-25T08:00:00.000Z\tmessage\t" + person + "\te",
				conversation + "\t6\t~2026-11-25T08:00:00.000Z\tmessage\t" + person + "\tf",
			},
			asks: []string{"/v1/inbox?limit=32&wait=1&compact=1&from=start", conversation + "/events?limit=32&compact=1&after=2", "&compact=1&after=3", "/v1/inbox?limit=32&wait=1&compact=1&from=start"}, compact: true,
		},
		"stream: restored": {
			answers: []string{open(frame(1, "\n")), open("retry: 60000\nevent: reset\ndata: {\"code\":\"cursor_reset\"}\n\n"), open(frame(1, "\n"))},
			want:    slices.Concat(shown(1), []string{restored}, shown(1)), stream: true,
		},
		"stream: a frame that is cut": {answers: []string{open(frame(1, "\n") + strings.TrimSuffix(frame(2, "\n"), "\n")), open(frame(2, "\n"))}, want: shown(1, 2), stream: true},
		"stream: broken JSON":         {answers: []string{open("data: {\"seq\":1\n\n"), open(frame(1, "\n"))}, want: shown(1), stream: true},
		"stream: silence":             {answers: []string{open(frame(1, "\n")), open(frame(2, "\n"))}, want: shown(1, 2), stream: true},
		"stream: never delivered": {
			answers: []string{open(frame(1, "\n") + strings.Repeat(heartbeat(2), 4)), sized("200 OK", page(2)), open(frame(3, "\n"))},
			want:    shown(1, 2, 3), stream: true, asks: []string{"stream?", "events?limit=32&after=1", "stream?t=0&after=1-k7q"},
		},
		"stream: a gap": {
			answers: []string{open(frame(1, "\n") + frame(3, "\n")), sized("200 OK", page(2)), open(frame(3, "\n"))},
			want:    shown(1, 2, 3), stream: true,
		},
		"stream: too many": {
			answers: []string{problem("429 Too Many Requests", "rate_limited"), open("retry: 1000\nevent: end\ndata: {\"code\":\"rate_limited\"}\n\n"), open(frame(1, "\n"))},
			want:    shown(1), stream: true,
		},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(n int, _ *http.Request) reply {
				last := n >= len(c.answers)-1
				raw := c.answers[min(n, len(c.answers)-1)]
				unsized := !strings.Contains(raw, "CONTENT-LENGTH")
				return reply{raw: raw, held: last || name == "stream: silence", cut: unsized && !last}
			})
			args := []string{"follow", "--retry", "1", "--wait", "1", "--silence", "1"}
			if c.compact {
				args = append(args, "--compact")
			} else {
				args = append(args, "--conversation", conversation)
			}
			if c.stream {
				args = append(args, "--sse")
			}
			client := follow(t, name, f.args(t, sanitized, args...)...)
			client.until("all lines", func() bool { return len(client.got) >= len(c.want) })
			client.kill()
			compare(t, name, client.got, c.want)
			asked := f.requests()
			for i, part := range c.asks {
				if i >= len(asked) || !strings.Contains(asked[i]+"&", part) {
					t.Errorf("request %d of %q has no %q", i+1, asked, part)
				}
			}
			if strings.Contains(client.stderr.String(), "\x1b") {
				t.Errorf("what the server says reaches the terminal: %q", client.stderr)
			}
		})
	}
}

// What coming back does not help ends the program, with a status that says why.
func TestEndings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		args   []string
		status int
	}{
		"no credentials":    {problem("401 Unauthorized", "unauthorized"), []string{"follow"}, 3},
		"none of it":        {problem("404 Not Found", "not_found"), []string{"follow", "--conversation", conversation}, 1},
		"moved":             {sized("301 Moved", "", "Location: http://example.com/"), []string{"follow"}, 1},
		"session has ended": {"HTTP/1.1 200 OK\r\n\r\nevent: end\ndata: {\"code\":\"unauthorized\",\"detail\":\"x\"}\n\n", []string{"follow", "--sse"}, 3},
		"removed":           {"HTTP/1.1 200 OK\r\n\r\nevent: end\ndata: {\"code\":\"not_found\"}\n\n", []string{"follow", "--sse"}, 1},
		"full":              {problem("507 Insufficient Storage", "storage_full"), []string{"send", conversation, "x"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := script(t, c.answer)
			client := follow(t, name, f.args(t, sanitized, c.args...)...)
			if status := client.exit(); status != c.status {
				t.Errorf("status %d instead of %d: %s", status, c.status, client.stderr)
			}
		})
	}
}

// A send is repeated, with the same bytes, until the server's own event comes
// back; a page that something else put in between does not count. A refusal
// after an attempt of unknown outcome is called uncertain.
func TestSendRepeats(t *testing.T) {
	t.Parallel()
	data, _ := event(5)
	var bodies []string
	answers := []reply{
		{raw: "HTTP/1.1 200 OK\r\nContent-Le", cut: true}, {raw: "", cut: true}, {raw: sized("200 OK", "<html>sign in</html>")},
		{raw: sized("201 Created", `{"ok":true}`)}, {raw: problem("503 Service Unavailable", "outcome_unknown", "Retry-After: 1")}, {raw: sized("201 Created", data)},
	}
	read := func(r *http.Request) string {
		b := make([]byte, r.ContentLength)
		if _, err := bufio.NewReader(r.Body).Read(b); err != nil {
			return err.Error()
		}
		return string(b)
	}
	f := newFake(t, func(n int, r *http.Request) reply {
		bodies = append(bodies, read(r))
		return answers[min(n, len(answers)-1)]
	})
	began := time.Now()
	out, errs, status := run(t, f.args(t, sanitized, "send", "--retry", "1", conversation, "a \"text\"\n")...)
	if out != "5\n" || status != 0 {
		t.Errorf("status %d, %q, %s", status, out, errs)
	}
	if time.Since(began) < time.Second {
		t.Error("it came back before the time that Retry-After says")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(bodies) != len(answers) || len(slices.Compact(bodies)) != 1 || !strings.Contains(bodies[0], `"text":"a \"text\"\u000a"}`) {
		t.Errorf("sent %q", bodies)
	}
	g := newFake(t, func(n int, r *http.Request) reply {
		if read(r); n == 0 {
			return reply{cut: true}
		}
		return reply{raw: problem("401 Unauthorized", "unauthorized")}
	})
	if _, _, status := run(t, g.args(t, sanitized, "send", "--retry", "1", conversation, "x")...); status != 5 {
		t.Errorf("status %d", status)
	}
}
