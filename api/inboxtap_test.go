package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"holdline/internal/contract"
)

// inboxTap is an open inbox stream, read by a parser that knows nothing of the
// writer.
type inboxTap struct {
	t      testing.TB
	resp   *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

func (w *world) inboxStream(token, query string, header map[string]string) *inboxTap {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/inbox/stream"+query, nil)
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
	s := &inboxTap{w.t, resp, bufio.NewReaderSize(resp.Body, 1<<16), cancel}
	w.t.Cleanup(s.close)
	return s
}

func (s *inboxTap) close() {
	s.cancel()
	_ = s.resp.Body.Close() // it was cut
}

// next is the next frame; io.EOF at a clean end. In each the data come before
// the id, since some clients keep the id of a frame that was cut in the middle.
func (s *inboxTap) next() (f frame, err error) {
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) && (line != "" || f != frame{}) {
				err = io.ErrUnexpectedEOF
			}
			return frame{}, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "" && f.data != "":
			s.check(f)
			return f, nil
		case name == "event":
			f.event = value
		case name == "data":
			f.data = value
		case name == "id" && f.data != "":
			f.id = value
		case name == "retry":
			f.retry = value
		default:
			s.t.Errorf("line %q behind %+v", line, f)
		}
	}
}

// check holds a frame against the contract.
func (s *inboxTap) check(f frame) {
	schema, id := "", false
	switch f.event {
	case "heartbeat":
		var beat struct {
			Type string `json:"type"`
			At   string `json:"at"`
		}
		must(s.t, json.Unmarshal([]byte(f.data), &beat, json.RejectUnknownMembers(true)))
		if beat.Type != "heartbeat" || beat.At == "" {
			s.t.Errorf("heartbeat %s", f.data)
		}
	case "reset", "end":
		schema = "Problem"
		if f.retry != "60000" {
			s.t.Errorf("an ending without retry: 60000: %+v", f)
		}
	case "receipt":
		schema = "InboxReceipt"
	case "snapshot":
		schema, id = "InboxSnapshot", true
	default:
		schema, id = "Event", true
	}
	if (f.id != "") != id || len(f.id) > 128 {
		s.t.Errorf("id %q on %s", f.id, f.event)
	}
	if schema != "" {
		contract.CheckJSON(s.t, schema, []byte(f.data))
	}
}

// must is the next frame that is no heartbeat.
func (s *inboxTap) must() frame {
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

// event is the next frame that is neither heartbeat nor receipt, and the event in it.
func (s *inboxTap) event() (f frame, e Event) {
	s.t.Helper()
	for f = s.must(); f.event == "receipt"; f = s.must() {
	}
	must(s.t, json.Unmarshal([]byte(f.data), &e))
	return f, e
}

// ended reads to the end of a stream, which must say why there is no more.
func (s *inboxTap) ended(event, code, detail string) {
	s.t.Helper()
	var last frame
	for {
		f, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(s.t, err)
		last = f
	}
	var p Problem
	fromJSON(s.t, last.data, &p)
	if last.event != event || p.Code != code || !strings.Contains(p.Detail, detail) {
		s.t.Errorf("ended with %+v, want %s %s", last, event, code)
	}
}

// follow takes one frame of a stream.
func (d *device) follow(s *inboxTap) {
	d.t.Helper()
	f := s.must()
	switch f.event {
	case "snapshot":
		var snapshot InboxSnapshot
		fromJSON(d.t, f.data, &snapshot)
		d.takeSnapshot(&snapshot)
	case "receipt":
		var r InboxReceipt
		fromJSON(d.t, f.data, &r)
		d.takeReceipt(r)
		return
	case "reset", "end":
		d.t.Fatalf("the stream ended: %+v", f)
	default:
		var e Event
		fromJSON(d.t, f.data, &e)
		if e.Type != f.event {
			d.t.Errorf("event: %s with %s", f.event, f.data)
		}
		d.takeEvent(e)
	}
	d.takeCursor(f.id)
}
