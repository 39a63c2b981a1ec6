package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// slow is how long a bundle is awaited here: longer than anything else takes.
const slow = 60

// pollFor asks in the background.
func (w *world) pollFor(who account, path string) <-chan answer {
	got := make(chan answer, 1)
	go func() { got <- w.do(request{method: "GET", path: path, token: who.Token}) }()
	return got
}

func TestPollsBundleWhatComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	cursor := w.inbox(bob, "").Cursor
	for name, path := range map[string]string{
		"events": "/v1/conversations/" + c + "/events?wait=20&coalesce=1&after=", "inbox": "/v1/inbox?wait=20&coalesce=1&cursor=" + cursor,
	} {
		if strings.HasSuffix(path, "after=") {
			path += fmt.Sprint(w.events(bob, c, "").LastSeq)
		} else {
			path = "/v1/inbox?wait=20&coalesce=1&cursor=" + w.drained(bob, cursor)
		}
		got := w.pollFor(bob, path)
		w.waiting(1)
		began := time.Now()
		for n := range 3 {
			w.send(ann, c, fmt.Sprint(name, n), "x")
		}
		a := <-got
		var page EventPage
		must(t, json.Unmarshal(a.body, &page))
		if took := time.Since(began); len(page.Events) != 3 || took < time.Second || took > 10*time.Second {
			t.Errorf("%s: %d events after %v", name, len(page.Events), took)
		}
		// What is there already is given at once.
		began = time.Now()
		w.must(200, request{method: "GET", path: "/v1/conversations/" + c + "/events?wait=20&coalesce=60&after=1", token: bob.Token}, nil)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("what was there came after %v", took)
		}
	}
}

// drained is a cursor behind everything.
func (w *world) drained(who account, cursor string) string {
	w.t.Helper()
	for page := (InboxPage{More: true}); page.More; cursor = page.Cursor {
		page = w.inbox(who, "?cursor="+cursor)
	}
	return cursor
}

// A poll is never held beyond its wait, nor beyond an ending.
func TestBundlingEndsWithThePoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	events := func(wait int) string {
		return fmt.Sprintf("/v1/conversations/%s/events?wait=%d&coalesce=%d&after=%d", c, wait, slow, w.events(bob, c, "").LastSeq)
	}
	seen := func(a answer, want int) {
		t.Helper()
		var page EventPage
		must(t, json.Unmarshal(a.body, &page))
		if a.status != 200 || len(page.Events) != want {
			t.Errorf("%d %s, want %d events", a.status, a.body, want)
		}
	}
	began := time.Now()
	got := w.pollFor(bob, events(2))
	w.waiting(1)
	w.send(ann, c, "1", "x")
	seen(<-got, 1)
	if took := time.Since(began); took < 1500*time.Millisecond || took > 10*time.Second {
		t.Errorf("after %v", took)
	}
	began = time.Now()
	got = w.pollFor(bob, events(50))
	w.waiting(1)
	w.send(ann, c, "2", "x")
	w.send(ann, c, "3", "x")
	w.remove(ann, c, bob)
	seen(<-got, 3)
	w.add(ann, c, "bob")
	got = w.pollFor(bob, events(50))
	w.waiting(1)
	w.send(ann, c, "4", "x")
	w.must(204, request{method: "DELETE", path: "/v1/sessions/current", token: bob.Token}, nil)
	if a := <-got; a.status != 401 {
		t.Errorf("%d %s", a.status, a.body)
	}
	bob.Token = w.signIn("bob")
	got = w.pollFor(bob, events(50))
	w.waiting(1)
	w.send(ann, c, "5", "x")
	must(t, w.Close(t.Context()))
	seen(<-got, 1)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("endings were held back for %v", took)
	}
}

func TestStreamsBundleWhatComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	for n := range 300 { // more than one write holds
		w.send(ann, c, fmt.Sprint("before", n), strings.Repeat("x", 200))
	}
	cursor := w.drained(bob, w.inbox(bob, "").Cursor)
	began := time.Now()
	streams := map[string]*wire{
		"log":   w.wire(bob, "/v1/conversations/"+c+"/stream?coalesce=1&compact=1", "text/event-stream"),
		"inbox": w.wire(bob, "/v1/inbox/stream?coalesce=1&compact=1&cursor="+cursor, "text/event-stream"),
		"lines": w.wire(bob, "/v1/conversations/"+c+"/stream?coalesce=1&after=301", "text/plain"),
	}
	for range 301 {
		streams["log"].frame(nil)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("what was there took %v", took)
	}
	streams["lines"].until("\n") // the heartbeat
	w.waiting(3)
	began = time.Now()
	for n := range 3 {
		w.send(ann, c, fmt.Sprint("after", n), fmt.Sprint("late ", n))
	}
	for name, s := range streams {
		for n := range 3 {
			text := fmt.Sprint("late ", n)
			if name == "lines" {
				s.until(text + "\n")
			} else if f := s.frame(nil); !strings.Contains(f, text) {
				t.Errorf("%s: %q where %s was due", name, f, text)
			}
			if took := time.Since(began); n == 0 && (took < time.Second || took > 12*time.Second) {
				t.Errorf("%s: the first after %v", name, took)
			}
		}
	}
	// A removal ends the stream at once.
	held := w.wire(bob, "/v1/conversations/"+c+"/stream?coalesce=60&after=304", "text/event-stream")
	w.waiting(4)
	began = time.Now()
	w.send(ann, c, "held", "held")
	w.remove(ann, c, bob)
	if f := held.frame(nil); !strings.Contains(f, "held") {
		t.Error(f)
	}
	held.until("event: end\n")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the end was held back for %v", took)
	}
}
