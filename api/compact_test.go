package api

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdline/internal/contract"
)

// wire is a stream as it comes from the socket, frame by frame.
type wire struct {
	t     testing.TB
	head  string
	lines *bufio.Reader
}

// wire opens a stream on a connection of its own, uncompressed.
func (w *world) wire(who account, path, accept string) *wire {
	w.t.Helper()
	conn := w.dial("GET " + path + " HTTP/1.1\r\nHost: x\r\nAccept: " + accept + "\r\nAuthorization: Bearer " + who.Token + "\r\n\r\n")
	s := &wire{t: w.t, lines: bufio.NewReaderSize(conn, 1<<20)}
	s.head = s.until("\r\n\r\n")
	if !strings.HasPrefix(s.head, "HTTP/1.1 200 OK\r\n") {
		w.t.Fatal(s.head)
	}
	return s
}

func (s *wire) until(end string) string {
	s.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), end) {
		c, err := s.lines.ReadByte()
		if err != nil {
			s.t.Fatalf("after %q: %v", b.String(), err)
		}
		b.WriteByte(c)
	}
	return b.String()
}

// frame is the next block that is no heartbeat; beats are noted.
func (s *wire) frame(told *expander) string {
	s.t.Helper()
	for {
		f := s.until("\n\n")
		if !strings.Contains(f, "event: heartbeat\n") {
			return f
		}
		if told != nil {
			told.heartbeat(dataOf(f))
		}
	}
}

func dataOf(frame string) string {
	for line := range strings.SplitSeq(frame, "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return data
		}
	}
	return ""
}

// expander makes events of compact ones, by what the contract says of CompactEvent.
type expander struct {
	t            testing.TB
	conversation string
	senders      map[string]string // the last of each conversation
	recent       []string          // the conversations in senders, the latest last
	at           time.Time
}

// turn goes to a conversation, and forgets the ninth.
func (x *expander) turn(conversation string) {
	x.conversation = conversation
	x.recent = append(slices.DeleteFunc(x.recent, func(c string) bool { return c == conversation }), conversation)
	if len(x.recent) > 8 {
		delete(x.senders, x.recent[0])
		x.recent = x.recent[1:]
	}
	if x.senders == nil {
		x.senders = map[string]string{}
	}
}

func (x *expander) heartbeat(data string) {
	var beat struct {
		LastSeq int64     `json:"last_seq"`
		At      time.Time `json:"at"`
	}
	must(x.t, json.Unmarshal([]byte(data), &beat, json.RejectUnknownMembers(true)))
	x.at = beat.At
}

func (x *expander) event(data string) Event {
	x.t.Helper()
	contract.CheckJSON(x.t, "CompactEvent", []byte(data))
	var e Event
	must(x.t, json.Unmarshal([]byte(data), &e))
	x.turn(cmp.Or(e.ConversationId, x.conversation))
	e.ConversationId = x.conversation
	if e.Type == "" {
		e.Type = "message"
	}
	if e.Type == "hidden" {
		delete(x.senders, x.conversation)
		return e
	}
	if e.SenderId == "" {
		e.SenderId = x.senders[x.conversation]
	}
	x.senders[x.conversation] = e.SenderId
	if e.AcceptedAt.IsZero() {
		e.AcceptedAt = x.at
	} else {
		x.at = e.AcceptedAt
	}
	return e
}

// compactPage is a page of either kind.
type compactPage struct {
	Events []jsontext.Value `json:"events"`
	Cursor string           `json:"cursor"`
	More   bool             `json:"more"`
}

// same compares an expanded event with the whole one.
func same(t testing.TB, got, want Event) {
	t.Helper()
	if apart := got.AcceptedAt.Sub(want.AcceptedAt).Abs(); apart >= time.Minute {
		t.Errorf("its time is %v apart", apart)
	}
	got.AcceptedAt, want.AcceptedAt = time.Time{}, time.Time{}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A log with every type of event, several senders, a removal and a return.
func (w *world) motley() (ann, bob account, c string) {
	ann, bob = w.signUp("ann"), w.signUp("bob")
	c = w.group(ann, "bob").Id
	w.send(ann, c, "a1", "one")
	w.send(ann, c, "a2", "two")
	w.send(bob, c, "b1", "three")
	w.must(200, request{method: "PATCH", path: "/v1/conversations/" + c, token: ann.Token, body: `{"title":"new \" one"}`}, nil)
	w.remove(ann, c, bob)
	w.send(ann, c, "a3", "behind his back")
	w.send(ann, c, "a4", "more of it")
	w.add(ann, c, "bob")
	w.must(201, request{method: "POST", path: "/v1/conversations/" + c + "/messages", token: bob.Token, body: NewMessage{ClientId: "b \" 2", Text: "é\n", ReplyTo: 2}}, nil)
	w.send(ann, c, "a5", "last")
	return ann, bob, c
}

func TestCompactSaysTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob, c := w.motley()
	other := w.group(bob, "ann").Id
	w.send(bob, other, "o1", "elsewhere")
	for _, who := range []account{ann, bob} {
		whole := w.events(who, c, "").Events
		path := "/v1/conversations/" + c
		var page, back compactPage
		w.must(200, request{method: "GET", path: path + "/events?compact=1", token: who.Token}, &page)
		w.must(200, request{method: "GET", path: path + "/events?compact=1&before=99", token: who.Token}, &back)
		s := w.wire(who, path+"/stream?compact=1", "text/event-stream")
		onStream, onPage, onBack := &expander{t: t, conversation: c}, &expander{t: t, conversation: c}, &expander{t: t, conversation: c}
		for i, want := range whole {
			f := s.frame(onStream)
			same(t, onStream.event(dataOf(f)), want)
			if id := fmt.Sprintf("\nid: %d-%s\n\n", max(want.Seq, want.ThroughSeq), w.store.Epoch()); !strings.HasSuffix(f, id) {
				t.Errorf("%q is not ended by %q", f, id)
			}
			if strings.Contains(f, "event: message") || want.Type != "message" && !strings.HasPrefix(f, "event: "+want.Type+"\n") {
				t.Errorf("%q of a %s", f, want.Type)
			}
			same(t, onPage.event(string(page.Events[i])), want)
			same(t, onBack.event(string(back.Events[i])), want)
		}
		if len(page.Events) != len(whole) || len(back.Events) != len(whole) {
			t.Errorf("%d and %d events of %d", len(page.Events), len(back.Events), len(whole))
		}
		// The inbox: one page, then one event a page.
		all := w.inbox(who, "?from=start").Events
		for _, limit := range []int{100, 1} {
			var got []Event
			query := fmt.Sprintf("?from=start&compact=1&limit=%d", limit)
			for more := true; more; {
				var page compactPage
				w.must(200, request{method: "GET", path: "/v1/inbox" + query, token: who.Token}, &page)
				x := &expander{t: t}
				for _, e := range page.Events {
					got = append(got, x.event(string(e)))
				}
				more, query = page.More, fmt.Sprintf("?compact=1&limit=%d&cursor=%s", limit, page.Cursor)
			}
			if len(got) != len(all) {
				t.Fatalf("%d events of %d", len(got), len(all))
			}
			for i := range all {
				same(t, got[i], all[i])
			}
		}
	}
}

// Who comes back to a compact inbox with the last id it was given has exactly
// what it missed, once it has left out the events it knows by their seq.
func TestCompactInboxResumesExactly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Heartbeat = 300 * time.Millisecond })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	ours := []string{w.group(ann, "bob").Id, w.group(ann, "bob").Id, w.group(ann, "bob").Id}
	want := map[string][]int64{}
	cursor, known, got := "", map[string]int64{}, map[string][]int64{}
	repeated, ids := 0, 0
	for round := range 12 {
		path := "/v1/inbox/stream?compact=1&from=start"
		if cursor != "" {
			path = "/v1/inbox/stream?compact=1&cursor=" + cursor
		}
		s := w.wire(bob, path, "text/event-stream")
		if round == 0 {
			if f := s.frame(nil); !strings.HasPrefix(f, "event: snapshot\n") {
				t.Fatal(f)
			}
		}
		for n := range 5 * round { // the longer, the more ids
			c := ours[n%len(ours)]
			if seq := w.send(ann, c, fmt.Sprint(round, ".", n), "text").Seq; want[c] == nil || seq > 1 {
				want[c] = append(want[c], seq)
			}
		}
		x := &expander{t: t}
		total, seen := 0, 0
		for c := range want {
			total += len(want[c])
		}
		for c := range got {
			seen += len(got[c])
		}
		since := 0
		for seen < total || since >= idEvery {
			f := s.frame(x)
			if id, ok := strings.CutPrefix(f, "id: "); ok {
				cursor, since = strings.TrimSuffix(id, "\n\n"), 0
				ids++
				continue
			}
			if strings.HasPrefix(f, "event: receipt\n") || strings.HasPrefix(f, "event: snapshot\n") {
				continue
			}
			if since++; since > idEvery {
				t.Fatalf("%d events without an id", since)
			}
			e := x.event(dataOf(f))
			if e.Seq <= known[e.ConversationId] {
				repeated++
				continue
			}
			known[e.ConversationId] = e.Seq
			if e.Type == "message" {
				got[e.ConversationId] = append(got[e.ConversationId], e.Seq)
				seen++
			}
		}
	}
	for _, c := range ours {
		if !slices.Equal(got[c], want[c]) {
			t.Errorf("got %v, want %v", got[c], want[c])
		}
	}
	if repeated == 0 || ids == 0 {
		t.Errorf("%d repeated, %d ids: nothing was tested", repeated, ids)
	}
	// Silence tells the rest.
	s := w.wire(bob, "/v1/inbox/stream?compact=1&cursor="+cursor, "text/event-stream")
	w.send(ann, ours[0], "last", "x")
	for f := s.frame(nil); !strings.HasPrefix(f, "id: "); f = s.frame(nil) {
		cursor = ""
	}
	if cursor != "" {
		t.Error("an id before the event")
	}
}

func TestPadAndNudge(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann).Id
	w.send(ann, c, "1", "x")
	path := "/v1/conversations/" + c + "/stream?after=1&nudge=1&pad="
	for _, pad := range []int{0, 1, 2, 2048, 16384} {
		s := w.wire(ann, fmt.Sprint(path, pad), "text/event-stream")
		body := s.until("\nid: 2-" + w.store.Epoch() + "\n\n:\n")
		comment, rest, _ := strings.Cut(body, "retry: ")
		if len(comment) != pad || pad > 0 && strings.Trim(strings.TrimSuffix(strings.TrimPrefix(comment, ":"), "\n"), " ") != "" || !strings.Contains(rest, "\"}\n\n:\nevent: message\n") {
			t.Errorf("pad=%d: %.80q and %q", pad, comment, rest)
		}
		s = w.wire(ann, fmt.Sprint(path, pad), "text/plain")
		body = s.until("\tx\n#\n")
		if line, _, _ := strings.Cut(body, "\n"); pad > 1 && (len(line) != pad-1 || line[0] != '#') {
			t.Errorf("pad=%d of text: %.80q", pad, body)
		}
	}
	// What comments there are is nothing to a parser, of a stream that goes on too.
	resp, err := http.Get(w.url + "/v1/inbox/stream?pad=4096&nudge=1&compact=1&ticket=" + w.ticket(ann))
	must(t, err)
	lines := bufio.NewReader(resp.Body)
	w.waiting(11)
	w.send(ann, c, "2", "y")
	for line := ""; !strings.Contains(line, `"text":"y"`); {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	must(t, resp.Body.Close())
	_, _ = io.Copy(io.Discard, resp.Body) // closed
}
