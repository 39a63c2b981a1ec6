package api

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Senders of several conversations at once, more than a reader has to keep
// them of: a stream and pages lose none, and name each once where they can.
func TestCompactInboxKeepsSenders(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob, cleo := w.signUp("ann"), w.signUp("bob"), w.signUp("cleo")
	var rooms []string
	for range 11 {
		rooms = append(rooms, w.group(ann, "bob", "cleo").Id)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	const many = 300
	for n := range many {
		by := []account{ann, bob, bob, bob}[rnd.IntN(4)]
		among := 3 // most of the time
		if n%20 < 4 {
			among = len(rooms)
		}
		w.send(by, rooms[rnd.IntN(among)], fmt.Sprint(n), "text")
	}
	want := w.inbox(cleo, "?from=start&limit=1000").Events

	var page compactPage
	w.must(200, request{method: "GET", path: "/v1/inbox?from=start&limit=1000&compact=1", token: cleo.Token}, &page)
	if len(page.Events) != len(want) || len(want) != many+len(rooms) {
		t.Fatalf("%d events of %d", len(page.Events), len(want))
	}
	pages, fromPage := &expander{t: t}, map[string][]Event{}
	for _, e := range page.Events {
		e := pages.event(string(e))
		fromPage[e.ConversationId] = append(fromPage[e.ConversationId], e)
	}
	s := w.wire(cleo, "/v1/inbox/stream?compact=1&from=start", "text/event-stream")
	streamed, fromStream := &expander{t: t}, map[string][]Event{}
	named := 0
	for i := 0; i < len(want); {
		f := s.frame(streamed)
		if strings.HasPrefix(f, "id: ") || strings.HasPrefix(f, "event: snapshot\n") || strings.HasPrefix(f, "event: receipt\n") {
			continue
		}
		if strings.Contains(f, `"sender_id"`) {
			named++
		}
		e := streamed.event(dataOf(f))
		fromStream[e.ConversationId] = append(fromStream[e.ConversationId], e)
		i++
	}
	for _, e := range want {
		c := e.ConversationId
		if len(fromPage[c]) == 0 || len(fromStream[c]) == 0 {
			t.Fatalf("seq %d of %s is left out", e.Seq, c)
		}
		same(t, fromPage[c][0], e)
		same(t, fromStream[c][0], e)
		fromPage[c], fromStream[c] = fromPage[c][1:], fromStream[c][1:]
	}

	// Round and round: once each where there are no more than are kept, else each time.
	for _, among := range []int{2, 8, 9} {
		for n := range 3 * among {
			// One at a time: there is no order across conversations.
			w.send([]account{ann, bob}[n%among%2], rooms[n%among], fmt.Sprint(among, n), "12345678901234567890")
			f := s.frame(streamed)
			for !strings.HasPrefix(f, "data: ") {
				f = s.frame(streamed)
			}
			if n >= among && strings.Contains(f, "sender_id") != (among > 8) {
				t.Errorf("among %d, event %d: %s", among, n, f)
			}
			if n >= among && among <= 8 && len(f) > 85 {
				t.Errorf("%d bytes: %s", len(f), f)
			}
			e := streamed.event(dataOf(f))
			if by := []account{ann, bob}[n%among%2].User.Id; e.SenderId != by || e.ConversationId != rooms[n%among] {
				t.Errorf("among %d, event %d: by %s in %s", among, n, e.SenderId, e.ConversationId)
			}
		}
	}
	if named*2 > len(want) {
		t.Errorf("the sender is named %d times in %d", named, len(want))
	}
}
