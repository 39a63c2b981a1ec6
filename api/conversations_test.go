package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"holdline/store"
)

// longLast puts ann into so many conversations whose last messages are as long
// as messages can be.
func longLast(w *world, conversations int) account {
	w.t.Helper()
	ann := w.signUp("ann")
	actor := store.Actor{UserID: mustID(w.t, ann.User.Id)}
	live, err := w.store.Sessions(w.t.Context(), actor.UserID, 0, 1)
	must(w.t, err)
	actor.SessionID = live[0].ID
	text := strings.Repeat("x", store.MaxTextBytes)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range conversations / 16 {
				made, _, err := w.store.CreateConversation(w.t.Context(), store.NewConversation{Actor: actor, Kind: store.KindGroup})
				if err == nil {
					_, _, err = w.store.Append(w.t.Context(), store.Send{Actor: actor, ConversationID: made.ID, ClientID: "1", Text: text})
				}
				if err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	all.Wait()
	return ann
}

// A page of long last messages ends at about 1 MiB, names what comes next, and
// the server has read little more for it: the list does not cost what everything
// together would.
func TestAPageOfConversationsReadsNoMoreThanItShows(t *testing.T) {
	const conversations = 512 // 8 MiB of last messages
	w := newWorld(t, nil)
	ann := longLast(w, conversations)
	seen, pages := map[string]bool{}, 0
	for path := "/v1/conversations?limit=1000"; path != ""; pages++ {
		var list ConversationList
		a := w.must(200, request{method: "GET", path: path, token: ann.Token}, &list)
		if len(a.body) > store.MaxPageBytes+2*store.MaxTextBytes {
			t.Errorf("page %d has %d bytes", pages, len(a.body))
		}
		for _, c := range list.Conversations {
			if seen[c.Id] || len(c.LastMessage.Text) != store.MaxTextBytes {
				t.Fatalf("twice, or with a last message of %d bytes: %s", len(c.LastMessage.Text), c.Id)
			}
			seen[c.Id] = true
		}
		if path = ""; list.More {
			path = "/v1/conversations?limit=1000&after=" + list.Next
		}
	}
	if len(seen) != conversations || pages < 8 || pages > 10 {
		t.Errorf("%d conversations in %d pages", len(seen), pages)
	}
	// The page as read, as JSON, and the lengths at which JSON was while it grew, where
	// no buffer was left from before; the snapshot of an inbox is JSON within JSON.
	for path, most := range map[string]uint64{"/v1/conversations?limit=1000": 10 << 20, "/v1/inbox": 14 << 20} {
		if took := allocated(w, path, ann.Token); took > most {
			t.Errorf("%s allocated %d KiB", path, took>>10)
		}
	}
}

// allocated is what one answer allocates, the least of some.
func allocated(w *world, path, token string) uint64 {
	least := ^uint64(0)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		serve200(w, path, token)
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// nowhere is where an answer goes whose bytes do not matter.
type nowhere struct {
	header http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(status int)      { n.status = status }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }

func serve200(w *world, path, token string) {
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	n := nowhere{header: http.Header{}}
	if w.Handler().ServeHTTP(&n, r); n.status != http.StatusOK {
		w.t.Fatalf("%s: %d", path, n.status)
	}
}

// BenchmarkConversations tells what a page of conversations costs, whose last
// messages have 16 KiB each.
func BenchmarkConversations(b *testing.B) {
	for _, limit := range []int{50, 1000} {
		b.Run(fmt.Sprint("limit=", limit), func(b *testing.B) {
			w := newWorld(b, nil)
			ann := longLast(w, 1008)
			b.ReportAllocs()
			for b.Loop() {
				serve200(w, fmt.Sprint("/v1/conversations?limit=", limit), ann.Token)
			}
		})
	}
}
