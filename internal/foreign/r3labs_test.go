package foreign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"

	"holdline/store"
)

// subscriber reads a stream with the client of r3labs/sse, inside a loop that
// makes up for what that client does not do: it stops at the end of a stream,
// hands on fragments, and takes an id from them. So the cursor is made of what
// was understood, an event's seq.
type subscriber struct {
	url, token string
	epoch      string

	got       []entry
	fragments int // what was handed on, and was not a whole event
	misled    int // of those, how many had set an id that would lose or repeat something
	calls     int // connections
	beats     int
	fresh     bool // nothing has come on this connection yet
	fault     error
	// progress is called after each event, and each heartbeat. It ends the
	// reading by false.
	progress func(beat *heartbeat) bool
}

// heartbeat is what a heartbeat says.
type heartbeat struct {
	Type           string    `json:"type"`
	ConversationID string    `json:"conversation_id"`
	LastSeq        *int64    `json:"last_seq"`
	At             time.Time `json:"at"`
}

// maxFrame is enough for a text of control characters, each of which is six
// characters in JSON.
const maxFrame = 6*store.MaxTextBytes + 4096

// read reads until progress says no.
func (s *subscriber) read(ctx context.Context) error {
	reading, leave := context.WithCancel(ctx)
	defer leave()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := sse.NewClient(s.url, sse.ClientMaxBufferSize(maxFrame))
	client.Connection = &http.Client{Transport: transport}
	client.Headers["Authorization"] = "Bearer " + s.token
	client.ReconnectStrategy = backoff.WithContext(backoff.NewConstantBackOff(10*time.Millisecond), reading)
	client.ResponseValidator = func(_ *sse.Client, resp *http.Response) error {
		s.calls++
		s.fresh = true
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if resp.StatusCode == http.StatusOK && kind == "text/event-stream" {
			return nil
		}
		defer resp.Body.Close()
		return backoff.Permanent(fmt.Errorf("status %d, type %s", resp.StatusCode, kind))
	}
	done := false
	for !done && s.fault == nil && ctx.Err() == nil {
		err := client.SubscribeRawWithContext(reading, func(m *sse.Event) {
			if done || s.fault != nil {
				return // what came after, before leaving took effect
			}
			beat, whole := s.take(m)
			// The client has taken the id of whatever it was already.
			client.LastEventID.Store(s.cursor())
			if whole && s.fault == nil && !s.progress(beat) {
				done = true
			}
			if done || s.fault != nil {
				leave()
			}
		})
		if err != nil && reading.Err() == nil {
			return err
		}
	}
	return errors.Join(s.fault, ctx.Err())
}

// cursor is where to go on; nil for the beginning, at which the client sends none.
func (s *subscriber) cursor() []byte {
	if len(s.got) == 0 {
		return nil
	}
	return []byte(strconv.Itoa(len(s.got)) + "-" + s.epoch)
}

// take understands what the client hands on. A fragment is not whole; beat is
// nil for an event of the log.
func (s *subscriber) take(m *sse.Event) (beat *heartbeat, whole bool) {
	if !json.Valid(m.Data) {
		s.fragments++
		return nil, false
	}
	first := s.fresh
	s.fresh = false
	if first != (string(m.Event) == "heartbeat" && len(m.Retry) > 0) {
		s.fault = fmt.Errorf("retry and a heartbeat come first, and only there; retry %q came with %s", m.Retry, m.Event)
	}
	if string(m.Event) == "heartbeat" {
		beat = new(heartbeat)
		if err := json.Unmarshal(m.Data, beat); err != nil {
			s.fault = fmt.Errorf("%w: %s", err, m.Data)
		} else if beat.Type != "heartbeat" || beat.At.IsZero() {
			s.fault = fmt.Errorf("heartbeat %s", m.Data)
		}
		if !s.had(string(m.ID)) {
			s.fault = fmt.Errorf("a heartbeat came with the id %q at %q", m.ID, s.cursor())
		}
		s.beats++
		return beat, true
	}
	var e struct {
		Seq int `json:"seq"`
	}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		s.fault = fmt.Errorf("%w: %s", err, m.Data)
		return nil, true
	}
	if e.Seq != len(s.got)+1 {
		s.fault = fmt.Errorf("event %d came instead of %d: %s", e.Seq, len(s.got)+1, m.Data)
		return nil, true
	}
	had := string(s.cursor())
	s.got = append(s.got, entry{typ: string(m.Event), data: string(m.Data)})
	s.got[e.Seq-1].id = string(s.cursor())
	if id := string(m.ID); id != string(s.cursor()) {
		// The connection was cut behind the data: the id is that of the event
		// before, or a part of its own.
		s.misled++
		if id != had && !strings.HasPrefix(string(s.cursor()), id) {
			s.fault = fmt.Errorf("event %d came with the id %q", e.Seq, id)
		}
	}
	return nil, true
}

// had reports whether id is one that was stored before. The client hands a
// frame without an id on with the last one it knew, which it reads while
// another goroutine of its own stores ours: that may be one or two behind.
func (s *subscriber) had(id string) bool {
	seq, epoch, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(seq)
	return id == "" || (err == nil && n >= len(s.got)-2 && n <= len(s.got) && epoch == s.epoch)
}

// epochOf is the epoch of a log's cursors.
func epochOf(log []entry) string {
	_, epoch, _ := strings.Cut(log[0].id, "-")
	return epoch
}

// The client of r3labs/sse reads everything, is cut off five times in the
// middle of events and once by a kill of the server, and has the exact log.
func TestR3labs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--heartbeat=100ms")
	w.say(shortTexts...)
	w.happen()
	w.say(longTexts()...)
	early := w.log(w.bob)

	const limits = "5,300r,2000,9999,40000r,100000"
	reached, proceed := make(chan struct{}), make(chan struct{})
	var all int // events there will be; known once proceed is closed
	s := &subscriber{url: w.cutter.base(limits) + w.path(), token: w.bob.Token, epoch: epochOf(early)}
	last := sync.OnceFunc(func() { close(reached); <-proceed })
	s.progress = func(beat *heartbeat) bool {
		if len(s.got) < len(early) || beat == nil {
			return true
		}
		last()
		return len(s.got) < all || beat.LastSeq == nil || *beat.LastSeq != int64(all)
	}
	result := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { result <- s.read(ctx) }()
	select {
	case <-reached:
	case err := <-result:
		t.Fatalf("%d of %d events, %d connections: %v", len(s.got), len(early), s.calls, err)
	}
	w.restart()
	w.say(shortTexts...)
	w.say("the last")
	log := w.log(w.bob)
	all = len(log)
	close(proceed)
	if err := <-result; err != nil {
		t.Fatalf("%d of %d events, %d connections: %v", len(s.got), len(log), s.calls, err)
	}
	w.check(s.got, log)
	if least := 1 + len(strings.Split(limits, ",")) + 1; s.calls < least {
		t.Errorf("%d connections instead of at least %d", s.calls, least)
	}
	if s.fragments == 0 {
		t.Error("the client handed on no fragment: it was not cut inside an event")
	}
	t.Logf("%d events in %d connections, %d fragments, %d heartbeats", len(s.got), s.calls, s.fragments, s.beats)
}

// A stream that cannot go on says why as an event, which this client hands on
// like any other; a stranger gets a status, which is an error.
func TestR3labsSeesWhyAStreamEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(w.bob)
	read := func(url, token string) (events []string, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		client := sse.NewClient(url)
		client.Connection = &http.Client{Transport: transport}
		client.Headers["Authorization"] = "Bearer " + token
		client.ReconnectStrategy = &backoff.StopBackOff{}
		err = client.SubscribeRawWithContext(ctx, func(m *sse.Event) {
			var p struct{ Code string }
			_ = json.Unmarshal(m.Data, &p) // without a code then
			events = append(events, strings.Join([]string{string(m.Event), p.Code, string(m.Retry)}, " "))
			if string(m.Event) == "created" {
				w.bob.Must(http.StatusNoContent, http.MethodDelete, "/v1/sessions/current", nil, nil)
			}
		})
		return events, err
	}
	url := w.server.URL + w.path()
	if got, err := read(url+"?after=1-"+epochOf(log)+"x", w.bob.Token); err != nil || len(got) != 1 || got[0] != "reset cursor_reset 60000" {
		t.Errorf("with a cursor of another epoch: %q, %v", got, err)
	}
	if got, err := read(url, w.server.SignUp("stranger").Token); err == nil || len(got) != 0 {
		t.Errorf("a stranger: %q, %v", got, err)
	}
	if got, err := read(url, w.bob.Token); err != nil || len(got) != 3 || got[1] != "created  " || got[2] != "end unauthorized 60000" {
		t.Errorf("with a session that ends: %q, %v", got, err)
	}
}
