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
