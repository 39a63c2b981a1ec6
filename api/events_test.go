package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdline/store"
)

// seqsOf is the seqs of a page.
func seqsOf(p EventPage) (out []int64) {
	for _, e := range p.Events {
		out = append(out, e.Seq)
	}
	return out
}

func TestEventsByPage(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob") // seq 1
	for i := range 9 {
		w.send(ann, c.Id, fmt.Sprint("c", i), fmt.Sprint("text ", i))
	}
	epoch := w.store.Epoch()
	at, got := "0", []int64{}
	for pages := 1; ; pages++ {
		page := w.events(bob, c.Id, "?limit=4&after="+at)
		got = append(got, seqsOf(page)...)
		last := got[len(got)-1]
		if page.Cursor != formatCursor(last, epoch) || page.FirstSeq != 1 || page.LastSeq != 10 || page.More != (last < 10) {
			t.Fatalf("page %d: %+v", pages, page)
		}
		if at = page.Cursor; !page.More {
			break
		}
	}
	if fmt.Sprint(got) != "[1 2 3 4 5 6 7 8 9 10]" {
		t.Fatalf("got %v", got)
	}
	if page := w.events(bob, c.Id, "?after="+at); len(page.Events) != 0 || page.Cursor != at || page.More {
		t.Fatalf("at the end: %+v", page)
	}
}

func TestEventsBefore(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann)
	w.send(ann, c.Id, "c1", "before bob") // 2
	w.add(ann, c.Id, "bob")               // 3
	w.send(ann, c.Id, "c2", "4")
	w.send(bob, c.Id, "c3", "5")
	epoch := w.store.Epoch()
	page := w.events(bob, c.Id, "?before=6&limit=2")
	if fmt.Sprint(seqsOf(page)) != "[4 5]" || !page.More || page.FirstSeq != 3 || page.LastSeq != 5 || page.Cursor != "5-"+epoch {
		t.Fatalf("%+v", page)
	}
	if page.Events[0].ClientId != "" || page.Events[1].ClientId != "c3" {
		t.Fatalf("client ids: %+v", page.Events)
	}
	page = w.events(bob, c.Id, "?before=4")
	if fmt.Sprint(seqsOf(page)) != "[3]" || page.More || page.Cursor != "3-"+epoch {
		t.Fatalf("%+v", page)
	}
	page = w.events(bob, c.Id, "?before=3")
	if len(page.Events) != 0 || page.More || page.Cursor != "2-"+epoch {
		t.Fatalf("%+v", page)
	}
	path := "/v1/conversations/" + c.Id + "/events"
	for _, query := range []string{"?before=3&after=1", "?before=3&wait=1"} {
		w.refused(request{method: "GET", path: path + query, token: bob.Token}, 400, "invalid", "before")
	}
	text := w.must(200, request{method: "GET", path: path + "?before=6&limit=1", token: ann.Token, header: map[string]string{"Accept": "text/plain"}}, nil)
	if fields := strings.Split(string(text.body), "\t"); len(fields) != 5 || fields[0] != "5" || fields[4] != "5\n" || text.header.Get("Holdline-Cursor") != "5-"+epoch {
		t.Fatalf("%q, cursor %q", text.body, text.header.Get("Holdline-Cursor"))
	}
}

func TestEventsAsText(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	w.send(ann, c.Id, "c1", "one\n\ttwo")
	a := w.must(200, request{method: "GET", path: "/v1/conversations/" + c.Id + "/events?after=1", token: ann.Token, header: map[string]string{"Accept": "text/plain"}}, nil)
	line := string(a.body)
	if !strings.HasPrefix(line, "2\t") || !strings.HasSuffix(line, "\tmessage\t"+ann.User.Id+"\tone\\n\\ttwo\n") {
		t.Fatalf("line %q", line)
	}
	if a.header.Get("Content-Type") != "text/plain; charset=utf-8" || a.header.Get("Holdline-Cursor") != "2-"+w.store.Epoch() {
		t.Fatalf("%v", a.header)
	}
}

func TestLongPollIsAnsweredByWhatComes(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	type result struct {
		page EventPage
		took time.Duration
	}
	answers := make(chan result)
	for _, who := range []account{ann, bob} {
		go func() {
			began := time.Now()
			page := w.events(who, c.Id, "?after=1&wait=30")
			answers <- result{page, time.Since(began)}
		}()
	}
	w.waiting(2)
	sent := w.send(ann, c.Id, "mine", "hello")
	own := 0
	for range 2 {
		r := <-answers
		if fmt.Sprint(seqsOf(r.page)) != "[2]" || r.page.LastSeq != 2 || r.took > 10*time.Second {
			t.Fatalf("%+v after %v", r.page, r.took)
		}
		e := r.page.Events[0]
		if e.ClientId == "mine" {
			own++
			e.ClientId = ""
		}
		if sent.ClientId = ""; fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", sent) {
			t.Fatalf("polled %+v, sent %+v", e, sent)
		}
	}
	if own != 1 {
		t.Fatalf("%d of the two saw the sender's client_id", own)
	}
	w.waiting(0)
}

func TestLongPollRunsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	began := time.Now()
	page := w.events(ann, c.Id, "?after=1&wait=1")
	if took := time.Since(began); len(page.Events) != 0 || page.LastSeq != 1 || took < time.Second || took > 20*time.Second {
		t.Fatalf("%+v after %v", page, took)
	}
}

func TestLongPollWhoseClientLeaves(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/conversations/"+c.Id+"/events?after=1&wait=50", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+ann.Token)
	done := make(chan error)
	go func() {
		resp, err := w.client.Do(req)
		if err == nil {
			_ = resp.Body.Close() // not expected
		}
		done <- err
	}()
	w.waiting(1)
	cancel()
	if err := <-done; err == nil {
		t.Fatal("answered")
	}
	w.waiting(0)
}

func TestLongPollEndsWithItsSession(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	second := account{ann.User, w.signIn("ann")}
	polled := make(chan answer)
	go func() {
		polled <- w.do(request{method: "GET", path: "/v1/conversations/" + c.Id + "/events?after=1&wait=50", token: second.Token})
	}()
	w.waiting(1)
	w.must(204, request{method: "DELETE", path: "/v1/sessions/current", token: second.Token}, nil)
	if a := <-polled; a.status != 401 || a.problem(t).Code != "unauthorized" {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

func TestLongPollIsAnsweredWhenTheServerDrains(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	polled := make(chan EventPage)
	go func() { polled <- w.events(ann, c.Id, "?after=1&wait=50") }()
	w.waiting(1)
	must(t, w.Close(t.Context()))
	if page := <-polled; len(page.Events) != 0 || page.Cursor != "1-"+w.store.Epoch() {
		t.Fatalf("%+v", page)
	}
	late := request{method: "GET", path: "/v1/conversations/" + c.Id + "/events?after=1&wait=50", token: ann.Token}
	w.refused(late, 503, "shutting_down", "") // an empty answer would be asked for again at once, and again
	w.events(ann, c.Id, "?after=1")
	w.events(ann, c.Id, "?wait=50")
}

func TestTicketThatExpiresWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.TicketAge = 2 * time.Second })
	ann := w.signUp("ann")
	c := w.group(ann)
	var page EventPage
	began := time.Now()
	w.must(200, request{method: "GET", path: "/v1/conversations/" + c.Id + "/events?after=1&wait=50&ticket=" + w.ticket(ann)}, &page)
	if took := time.Since(began); len(page.Events) != 0 || took > 10*time.Second {
		t.Fatalf("%+v after %v", page, took)
	}
}

func TestCursorsThatAreNotOfThisLog(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann)
	w.add(ann, c.Id, "bob") // 2
	path := "/v1/conversations/" + c.Id + "/events"
	for _, after := range []string{"3", "9999999999999999999", "3-" + w.store.Epoch(), "1-other", "0-other"} {
		p := w.refused(request{method: "GET", path: path + "?after=" + after, token: bob.Token}, 410, "cursor_reset", "after")
		if p.FirstSeq != 2 || p.LastSeq != 2 || !strings.Contains(p.Detail, "/messages") {
			t.Errorf("%+v", p)
		}
	}
	for _, after := range []string{"-1", "x", "1-", "1%00", "1-a_b"} {
		w.refused(request{method: "GET", path: path + "?after=" + after, token: bob.Token}, 400, "invalid", "after")
	}
	stranger := w.signUp("eve")
	w.refused(request{method: "GET", path: path + "?after=99", token: stranger.Token}, 404, "not_found", "")
}

func TestHandingBackACursorAcknowledgesDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	w.send(ann, c.Id, "c1", "one") // 2
	delivered := func() int64 {
		var conversation Conversation
		w.must(200, request{method: "GET", path: "/v1/conversations/" + c.Id, token: bob.Token}, &conversation)
		return conversation.DeliveredSeq
	}
	page := w.events(bob, c.Id, "?after=0")
	w.events(bob, c.Id, "?after=2")
	w.events(bob, c.Id, "?before=2")
	w.send(ann, c.Id, "c2", "two") // 3
	next := w.events(bob, c.Id, "?after="+page.Cursor)
	eventually(t, "delivered to 2", func() bool { return delivered() == 2 })
	s := w.stream(bob.Token, c.Id, "", map[string]string{"Last-Event-ID": next.Cursor})
	s.heartbeat()
	eventually(t, "delivered to 3", func() bool { return delivered() == 3 })
}

func TestFormerMembersReadUpToTheirRemoval(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	w.send(ann, c.Id, "c1", "two")
	polled := make(chan EventPage)
	go func() { polled <- w.events(bob, c.Id, "?after=2&wait=50") }()
	w.waiting(1)
	w.remove(ann, c.Id, bob) // 3
	if page := <-polled; fmt.Sprint(seqsOf(page)) != "[3]" || page.LastSeq != 3 || page.More {
		t.Fatalf("%+v", page)
	}
	w.send(ann, c.Id, "c2", "not for bob") // 4
	if page := w.events(bob, c.Id, "?after=1"); fmt.Sprint(seqsOf(page)) != "[2 3]" || page.LastSeq != 3 {
		t.Fatalf("%+v", page)
	}
	path := "/v1/conversations/" + c.Id + "/events"
	for _, after := range []string{"3", "4"} {
		w.refused(request{method: "GET", path: path + "?wait=30&after=" + after, token: bob.Token}, 404, "not_found", "")
	}
	w.add(ann, c.Id, "bob") // 5
	page := w.events(bob, c.Id, "?after=2")
	if fmt.Sprint(seqsOf(page)) != "[3 4 5]" || page.Events[1].Type != string(store.EventHidden) || page.Events[1].ThroughSeq != 4 {
		t.Fatalf("%+v", page)
	}
}

func TestEventsEndAtAboutAMegabyte(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	text := strings.Repeat("x", store.MaxTextBytes)
	for i := range 80 {
		w.send(ann, c.Id, fmt.Sprint("c", i), text)
	}
	a := w.must(200, request{method: "GET", path: "/v1/conversations/" + c.Id + "/events?limit=1000", token: ann.Token}, nil)
	if len(a.body) > 1<<20+1<<17 || len(a.body) < 1<<19 || !strings.Contains(string(a.body[len(a.body)-200:]), `"more":true`) {
		t.Fatalf("%d bytes, ending %s", len(a.body), a.body[len(a.body)-100:])
	}
	seen, at := 0, "0"
	for {
		page := w.events(ann, c.Id, "?limit=1000&after="+at)
		if seen += len(page.Events); !page.More {
			break
		}
		at = page.Cursor
	}
	if seen != 81 {
		t.Fatalf("%d events", seen)
	}
}

func TestHeadOfEvents(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	conn := w.dial("HEAD /v1/conversations/" + c.Id + "/events HTTP/1.0\r\nAuthorization: Bearer " + ann.Token + "\r\n\r\n")
	all, err := io.ReadAll(conn)
	must(t, err)
	if head := string(all); !strings.HasPrefix(head, "HTTP/1.0 200") || !strings.Contains(head, "\r\nContent-Length: ") || !strings.HasSuffix(head, "\r\n\r\n") {
		t.Fatalf("%q", head)
	}
}
