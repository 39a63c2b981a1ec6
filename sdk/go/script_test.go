package holdline_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	holdline "holdline/sdk/go"
)

// script is a server that says what a test wants it to: what the real one never does, or not on request.
type script struct {
	mu    sync.Mutex
	calls []string // method and address of each
}

// serve starts a script. answer is called with the number of the call to this path, from 0.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) (*script, *holdline.Client) {
	t.Helper()
	s := &script{}
	numbers := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls = append(s.calls, r.Method+" "+r.URL.String()+" "+r.Header.Get("Last-Event-ID"))
		n := numbers[r.URL.Path]
		numbers[r.URL.Path]++
		s.mu.Unlock()
		answer(w, r, n)
	}))
	t.Cleanup(server.Close)
	return s, newClient(t, server.URL, "hl_token")
}

// called are the calls so far.
func (s *script) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.calls...)
}

const cid = "4Jx0aQ7bTz1"

// entry is an event of cid.
func entry(seq int64) holdline.Event {
	return holdline.Event{ConversationId: cid, Seq: seq, Type: "message", Text: fmt.Sprint("text ", seq)}
}

func frame(event string, data any, id string) string {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	f := fmt.Sprintf("event: %s\ndata: %s\n", event, b)
	if id != "" {
		f += "id: " + id + "\n"
	}
	return f + "\n"
}

func entryFrame(seq int64) string { return frame("message", entry(seq), fmt.Sprint(seq, "-epo")) }

func heartbeat(last int64) string {
	return frame("heartbeat", map[string]any{"type": "heartbeat", "conversation_id": cid, "last_seq": last}, "")
}

// streams answers with an event stream, which stays open until the client leaves if hold is set.
func streams(w http.ResponseWriter, r *http.Request, hold bool, frames ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, f := range frames {
		_, _ = w.Write([]byte(f))
	}
	_ = http.NewResponseController(w).Flush()
	if hold {
		<-r.Context().Done()
	}
}

func says(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuses(w http.ResponseWriter, status int, code, field string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(holdline.Problem{Title: http.StatusText(status), Status: status, Code: code, Field: field, Detail: "No."})
}
