package devices

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

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
			if strings.Contains(client.Errors(), "\x1b") {
				t.Errorf("what the server says reaches the terminal: %q", client.Errors())
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
				t.Errorf("status %d instead of %d: %s", status, c.status, client.Errors())
			}
		})
	}
}

// A stream that ends says when to come back, by which a server spreads out those who lost it together.
func TestAStreamsRetryIsKept(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(n int, _ *http.Request) reply {
		data := fmt.Sprintf("retry: 4000\n%s", frame(int64(n)+1, "\n"))
		return reply{raw: "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + data, cut: n == 0, held: n > 0}
	})
	client := follow(t, "follow", f.args(t, sanitized, "follow", "--sse", "--conversation", conversation)...)
	client.until("the first line", func() bool { return len(client.got) == 1 })
	began := time.Now()
	client.until("the second line", func() bool { return len(client.got) == 2 })
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("it came back after %v", took)
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
	// What a portal answers in the server's place is no refusal: none of it has the server's code.
	portal := []string{sized("302 Found", "", "Location: http://portal/"), sized("403 Forbidden", "<html>"), sized("404 Not Found", ""), sized("401 Unauthorized", `{"error":"sign in"}`)}
	p := newFake(t, func(n int, r *http.Request) reply {
		if read(r); n < len(portal) {
			return reply{raw: portal[n]}
		}
		return reply{raw: sized("201 Created", data)}
	})
	if out, errs, status := run(t, p.args(t, sanitized, "send", "--retry", "1", conversation, "x")...); out != "5\n" || status != 0 {
		t.Errorf("status %d, %q, %s", status, out, errs)
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
