package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdline/internal/contract"
)

// patience bounds every wait for something that must happen soon. It is long
// because machines that run tests can be slow; nothing waits for it in vain.
const patience = time.Minute

// eventually waits until fn is true.
func eventually(t testing.TB, what string, fn func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !fn() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// waiting waits until so many readers wait at the server.
func (w *world) waiting(n int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d readers waiting", n), func() bool { return w.poller.Stats().Waiting == n })
}

func (w *world) events(who account, conversation, query string) EventPage {
	w.t.Helper()
	var page EventPage
	w.must(200, request{method: "GET", path: "/v1/conversations/" + conversation + "/events" + query, token: who.Token}, &page)
	return page
}

// remove takes somebody out of a conversation.
func (w *world) remove(by account, conversation string, who account) {
	w.t.Helper()
	w.must(200, request{method: "DELETE", path: "/v1/conversations/" + conversation + "/members/" + who.User.Id, token: by.Token}, nil)
}

func (w *world) add(by account, conversation, handle string) {
	w.t.Helper()
	w.must(201, request{method: "POST", path: "/v1/conversations/" + conversation + "/members", token: by.Token, body: NewMembers{Members: []string{handle}}}, nil)
}

func (w *world) ticket(who account) string {
	w.t.Helper()
	var ticket Ticket
	w.must(201, request{method: "POST", path: "/v1/tickets", token: who.Token}, &ticket)
	return ticket.Ticket
}

// frame is one event of a stream as its client sees it.
type frame struct {
	event, data, id string
	retry           string // told with it
}

func (f frame) seq(t testing.TB) int64 {
	t.Helper()
	var e Event
	must(t, json.Unmarshal([]byte(f.data), &e))
	return e.Seq
}

// tap is an open stream, read by a parser that knows nothing of the writer.
type tap struct {
	t      testing.TB
	resp   *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

// stream opens a stream; query begins with "?", header may be nil.
func (w *world) stream(token, conversation, query string, header map[string]string) *tap {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/conversations/"+conversation+"/stream"+query, nil)
	must(w.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.client.Do(req)
	must(w.t, err)
	if resp.StatusCode != 200 {
		body, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("stream: %d %s", resp.StatusCode, body)
	}
	s := &tap{w.t, resp, bufio.NewReaderSize(resp.Body, 1<<20), cancel}
	w.t.Cleanup(s.close)
	return s
}

func (s *tap) close() {
	s.cancel()
	_ = s.resp.Body.Close() // it was cut
}

// next is the next event; io.EOF at a clean end.
func (s *tap) next() (f frame, err error) {
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) && line != "" {
				err = io.ErrUnexpectedEOF
			}
			return frame{}, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if f.data != "" {
				s.check(f)
				return f, nil
			}
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "event":
			f.event = value
		case "data":
			f.data = value
		case "id":
			f.id = value
		case "retry":
			f.retry = value
		default:
			s.t.Errorf("line %q", line)
		}
	}
}

// check holds one event of a stream against the contract.
func (s *tap) check(f frame) {
	switch f.event {
	case "heartbeat":
		if f.id != "" {
			s.t.Errorf("a heartbeat moves the cursor: %+v", f)
		}
	case "reset", "end":
		if f.id != "" || f.retry != "60000" {
			s.t.Errorf("an ending with an id, or without retry: 60000: %+v", f)
		}
		contract.CheckJSON(s.t, "Problem", []byte(f.data))
	default:
		contract.CheckJSON(s.t, "Event", []byte(f.data))
	}
}

// must is the next event that is no heartbeat.
func (s *tap) must() frame {
	s.t.Helper()
	for {
		f, err := s.next()
		if err != nil {
			s.t.Fatalf("the stream ended: %v", err)
		}
		if f.event != "heartbeat" {
			return f
		}
	}
}

// want is must, for a seq.
func (s *tap) want(seq int64) frame {
	s.t.Helper()
	f := s.must()
	if got := f.seq(s.t); got != seq {
		s.t.Fatalf("got seq %d (%s), want %d", got, f.data, seq)
	}
	return f
}

// heartbeat is the next event, which must be one.
func (s *tap) heartbeat() (beat struct {
	Type           string `json:"type"`
	ConversationID string `json:"conversation_id"`
	LastSeq        *int64 `json:"last_seq"`
	At             string `json:"at"`
}) {
	s.t.Helper()
	f, err := s.next()
	must(s.t, err)
	if f.event != "heartbeat" {
		s.t.Fatalf("%+v is no heartbeat", f)
	}
	must(s.t, json.Unmarshal([]byte(f.data), &beat, json.RejectUnknownMembers(true)))
	return beat
}

// rest reads to the end, which must be clean, and returns the last event.
func (s *tap) rest() (last frame, seqs []int64) {
	s.t.Helper()
	for {
		f, err := s.next()
		if errors.Is(err, io.EOF) {
			return last, seqs
		}
		must(s.t, err)
		if last = f; f.id != "" {
			seqs = append(seqs, f.seq(s.t))
		}
	}
}

// dial opens a plain connection and sends a request as it is written.
func (w *world) dial(request string) net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() }) // the server may have closed it
	_, err = conn.Write([]byte(request))
	must(w.t, err)
	must(w.t, conn.SetReadDeadline(time.Now().Add(patience)))
	return conn
}
