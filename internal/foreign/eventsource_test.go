package foreign

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// said is what a watched EventSource says: that it is open, that it has an
// error (closed: for good), an event, or that the script has closed it.
type said struct {
	Kind   string `json:"kind"`
	Type   string `json:"type"`
	Data   string `json:"data"`
	ID     string `json:"id"`   // lastEventId
	Text   string `json:"text"` // of the event's JSON
	Closed bool   `json:"closed"`
}

// eventSource is an EventSource somewhere else, followed from here.
type eventSource struct {
	w    *world
	said <-chan []byte // each a said as JSON
	// keepsID: frames without an id are shown with the last one, as the
	// standard says, and not with an empty one.
	keepsID bool

	got    []entry
	opened int
	errors int
	// greeted: a heartbeat has come on this connection.
	greeted bool
}

func (s *eventSource) next() said {
	s.w.t.Helper()
	select {
	case text, ok := <-s.said:
		if !ok {
			s.w.t.Fatal("the EventSource is gone")
		}
		var got said
		if err := json.Unmarshal(text, &got); err != nil {
			s.w.t.Fatalf("%v: %s", err, text)
		}
		return got
	case <-time.After(patience):
		s.w.t.Fatalf("the EventSource says nothing more after %d events, %d times open, %d errors", len(s.got), s.opened, s.errors)
		panic("not reached")
	}
}

func (s *eventSource) lastID() string {
	if len(s.got) == 0 {
		return ""
	}
	return s.got[len(s.got)-1].id
}

// step takes what is said next. It returns a heartbeat if that is what it is.
func (s *eventSource) step() *heartbeat {
	t := s.w.t
	t.Helper()
	got := s.next()
	switch {
	case got.Kind == "open":
		s.opened++
		s.greeted = false
	case got.Kind == "error":
		s.errors++
		if got.Closed {
			t.Fatalf("the EventSource has given up after %d events", len(s.got))
		}
	case got.Kind == "event" && got.Type == "heartbeat":
		var beat heartbeat
		if err := json.Unmarshal([]byte(got.Data), &beat); err != nil || beat.Type != "heartbeat" || beat.ConversationID != s.w.conversation || beat.At.IsZero() {
			t.Fatalf("heartbeat %s: %v", got.Data, err)
		}
		if want := s.lastID(); got.ID != want && (s.keepsID || got.ID != "") {
			t.Errorf("a heartbeat came with the id %q behind %q", got.ID, want)
		}
		s.greeted = true
		return &beat
	case got.Kind == "event" && got.Type != "reset" && got.Type != "end":
		if !s.greeted {
			t.Errorf("no heartbeat came before the first event of a connection, %d", len(s.got)+1)
			s.greeted = true
		}
		s.got = append(s.got, entry{got.Type, got.Data, got.ID})
		if text := s.w.texts[int64(len(s.got))]; got.Text != text {
			t.Errorf("event %d has the text %q there, not %q", len(s.got), got.Text, text)
		}
	default:
		t.Fatalf("the EventSource says %+v after %d events", got, len(s.got))
	}
	return nil
}

// until takes what is said until there are n events.
func (s *eventSource) until(n int) {
	s.w.t.Helper()
	for len(s.got) < n {
		s.step()
	}
}

// ends passes on to the last event of a stream, which the script closes then.
func (s *eventSource) ends(typ, code string) {
	t := s.w.t
	t.Helper()
	got := s.next()
	for got.Kind == "open" || got.Kind == "event" && got.Type != "reset" && got.Type != "end" {
		got = s.next()
	}
	var problem struct{ Code, Detail string }
	if err := json.Unmarshal([]byte(got.Data), &problem); err != nil || got.Type != typ || problem.Code != code || problem.Detail == "" {
		t.Fatalf("%+v, %v instead of %s with the code %s", got, err, typ, code)
	}
	if got = s.next(); got.Kind != "closed" {
		t.Errorf("%+v after the end", got)
	}
}

// cutLimits is where the connections of a reader are cut: in `retry:`, in a
// short event and in a long one.
const cutLimits = "5,1500r,20000"

// follow is the life of an EventSource: it reads everything, is cut off in the
// middle of events, sees the server killed, gets what comes and the heartbeats
// between, and is told when its session ends.
func follow(t *testing.T, keepsID bool, open func(w *world, base string) <-chan []byte) {
	followCut(t, keepsID, cutLimits, false, open)
}

// followCut is follow where the connections are cut elsewhere, and may be compressed.
func followCut(t *testing.T, keepsID bool, cutLimits string, zipped bool, open func(w *world, base string) <-chan []byte) {
	w := newWorld(t, "--heartbeat=200ms")
	w.cutter.zipped.Store(zipped)
	w.say(shortTexts...)
	w.happen()
	w.say(longTexts()...)
	early := w.log(w.bob)
	s := &eventSource{w: w, keepsID: keepsID, said: open(w, w.cutter.base(cutLimits))}
	s.until(len(early))

	// Live, behind everything: heartbeats name the head and move nothing.
	for beats := 0; beats < 2; {
		if beat := s.step(); beat != nil && beat.LastSeq != nil && *beat.LastSeq == int64(len(early)) {
			beats++
		}
	}
	w.say("live")
	s.until(len(early) + 1)

	w.restart()
	w.say(shortTexts...)
	log := w.log(w.bob)
	s.until(len(log))
	w.check(s.got, log)

	w.bob.Must(http.StatusNoContent, http.MethodDelete, "/v1/sessions/current", nil, nil)
	s.ends("end", "unauthorized")

	asked := w.cutter.lastEventIDs(cutLimits)
	if least := len(strings.Split(cutLimits, ",")) + 2; len(asked) < least || s.opened < least || s.errors < least-1 {
		t.Errorf("%d connections, %d times open, %d errors; at least %d connections must have been", len(asked), s.opened, s.errors, least)
	}
	checkAsked(t, asked, log)
	t.Logf("%d events in %d connections: Last-Event-ID %q; %d preflights", len(s.got), s.opened, asked, w.cutter.count(http.MethodOptions))
}

// checkAsked sees that a reader has come back with ids it had been given, and
// further on each time.
func checkAsked(t *testing.T, asked []string, log []entry) {
	t.Helper()
	at := -1
	for i, id := range asked {
		now := slices.IndexFunc(log, func(e entry) bool { return e.id == id })
		if now < at || now < 0 && id != "" {
			t.Errorf("connection %d went on behind %q, after %q", i+1, id, asked[:i])
		}
		at = now
	}
	if at < 0 {
		t.Error("no connection went on behind an event")
	}
}
