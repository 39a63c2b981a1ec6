package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdline/internal/testdb"
)

func TestInboxPollIsAnsweredByWhatComes(t *testing.T) {
	w, _ := newNode(t, openSQLite(t, testdb.SQLite(t)), slowSweep, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	one, two := w.group(ann, "bob").Id, w.group(ann, "bob").Id
	d := w.connect(bob, "start")
	d.drain("")
	w.send(ann, one, "1", "already there") // 2
	began := time.Now()
	if page := d.poll("&wait=50"); len(page.Events) != 1 {
		t.Errorf("%+v", page)
	}
	answer := d.pollAside("&wait=50")
	sent := w.send(ann, two, "1", "while waiting") // 2
	page := <-answer
	if len(page.Events) != 1 || page.Events[0].Seq != 2 || page.Events[0].ConversationId != two || page.Events[0].Text != sent.Text || page.More {
		t.Errorf("%+v", page)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	w.waiting(0)
}

// A first connect has its snapshot, so it waits for nothing.
func TestInboxFirstConnectDoesNotWait(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	began := time.Now()
	w.inbox(ann, "?wait=50")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestInboxPollRunsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	d := w.connect(ann, "now")
	began := time.Now()
	a := w.must(200, request{method: "GET", path: "/v1/inbox?wait=1&cursor=" + d.cursor, token: ann.Token}, nil)
	var page InboxPage
	fromJSON(t, string(a.body), &page)
	if want := `{"events":[],"receipts":[],"cursor":"` + page.Cursor + `","more":false}`; string(a.body) != want {
		t.Errorf("%s, want %s", a.body, want)
	}
	if took := time.Since(began); took < time.Second || took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	d.takeCursor(page.Cursor) // it works as any other
	d.poll("")
}

func TestInboxPollWhoseClientLeaves(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	d := w.connect(ann, "now")
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/inbox?wait=50&cursor="+d.cursor, nil)
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
		t.Error("answered")
	}
	w.waiting(0)
}

func TestInboxPollEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.TicketAge = 2 * time.Second })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	cursor := w.connect(bob, "now").cursor
	aside := func(r request) <-chan answer {
		before := w.poller.Stats().Waiting
		r.method, r.path = "GET", "/v1/inbox?wait=50&cursor="+cursor+r.path
		got := make(chan answer, 1)
		go func() { got <- w.do(r) }()
		w.waiting(before + 1)
		return got
	}
	t.Run("with its session", func(t *testing.T) {
		token := w.signIn("bob")
		ended, other := aside(request{token: token}), aside(request{token: bob.Token})
		w.must(204, request{method: "DELETE", path: "/v1/sessions/current", token: token}, nil)
		if a := <-ended; a.status != 401 || a.problem(t).Code != "unauthorized" {
			t.Errorf("%d %s", a.status, a.body)
		}
		w.group(ann, "bob")
		if a := <-other; a.status != 200 || !strings.Contains(string(a.body), `"created"`) {
			t.Errorf("the other goes on: %d %s", a.status, a.body)
		}
		cursor = w.connect(bob, "now").cursor
	})
	t.Run("with its ticket", func(t *testing.T) {
		got := aside(request{path: "&ticket=" + w.ticket(bob)})
		if a := <-got; a.status != 200 || !strings.HasPrefix(string(a.body), `{"events":[],"receipts":[],"cursor":"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("with its user", func(t *testing.T) {
		got := aside(request{token: bob.Token})
		must(t, w.store.DisableUser(t.Context(), mustID(t, bob.User.Id)))
		if a := <-got; a.status != 401 || a.problem(t).Code != "unauthorized" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

func TestInboxPollIsAnsweredWhenTheServerDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	d := w.connect(ann, "now")
	got := d.pollAside("&wait=50")
	must(t, w.Close(t.Context()))
	if page := <-got; len(page.Events) != 0 || page.More {
		t.Errorf("%+v", page)
	}
	w.refused(request{method: "GET", path: "/v1/inbox?wait=50&cursor=" + d.cursor, token: ann.Token}, 503, "shutting_down", "")
	d.poll("")
	s := w.inboxStream(ann.Token, "?cursor="+d.cursor, nil)
	f, err := s.next()
	must(t, err)
	if f.event != "heartbeat" || f.retry == "" {
		t.Errorf("a stream that comes late: %+v", f)
	}
	w.refused(request{method: "GET", path: "/v1/inbox/stream", token: ann.Token, header: map[string]string{"Accept": "text/plain"}}, 503, "shutting_down", "")
}

func TestInboxesCountAmongWhatAUserHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.WaitingPerUser = 2 })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	d := w.connect(ann, "start")
	d.drain("")
	s := w.inboxStream(ann.Token, "?cursor="+d.cursor, nil)
	_, err := s.next()
	must(t, err)
	w.stream(ann.Token, c, "?after=1", nil)
	w.waiting(2)
	w.inboxStream(ann.Token, "", nil).ended("end", "rate_limited", "")
	poll := request{method: "GET", path: "/v1/inbox?wait=50&cursor=" + d.cursor, token: ann.Token}
	w.refused(poll, 429, "rate_limited", "")
	w.inbox(ann, "?cursor="+d.cursor) // one that does not wait is answered
	w.send(bob, c, "1", "hello")      // 2
	if page := d.poll("&wait=50"); len(page.Events) != 1 {
		t.Errorf("one that need not wait: %+v", page)
	}
	w.inboxStream(bob.Token, "", nil) // others are not concerned
	w.waiting(3)
	s.close()
	w.send(bob, c, "2", "notices that it has gone")
	w.send(bob, c, "3", "and once more, past what the socket took")
	d.drain("")
	w.waiting(2)
	d.poll("&wait=1") // the place is free again
}

// A text reader is shown no receipts, so none ends its wait.
func TestInboxReceiptsDoNotWakeThoseWhoReadText(t *testing.T) {
	t.Parallel()
	w, ann, bob, c := newPair(t)
	w.send(ann, c, "1", "hello") // 2
	d := w.connect(ann, "start")
	d.drain("")
	got := make(chan answer, 1)
	go func() {
		got <- w.do(request{method: "GET", path: "/v1/inbox?wait=50&cursor=" + d.cursor, token: ann.Token, header: map[string]string{"Accept": "text/plain"}})
	}()
	w.waiting(1)
	w.ack(bob, Acks{Read: Watermarks{c: 2}})
	d.until("the receipt", func() bool { return d.receiptOf(c, bob).ReadSeq == 2 })
	w.send(bob, c, "1", "here I am") // 3
	if a := <-got; a.status != 200 || !strings.Contains(string(a.body), "here I am") {
		t.Errorf("%d %q", a.status, a.body)
	}
	d.until("the message", func() bool { return d.has(c) == 3 })
	cursor := d.cursor
	w.ack(bob, Acks{Read: Watermarks{c: 3}})
	d.until("the next", func() bool { return d.receiptOf(c, bob).ReadSeq == 3 })
	before := time.Now()
	a := w.do(request{method: "GET", path: "/v1/inbox?wait=1&cursor=" + cursor, token: ann.Token, header: map[string]string{"Accept": "text/plain"}})
	if a.status != 200 || len(a.body) > 0 || time.Since(before) < time.Second/2 {
		t.Errorf("%d %q after %v", a.status, a.body, time.Since(before))
	}
}
