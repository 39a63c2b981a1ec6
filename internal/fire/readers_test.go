package fire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/store"
)

// reader reads one conversation to its end in many sittings, each on any of
// its servers, going on from the cursor that it had. A sitting ends at random:
// after some events, or in the middle of whatever is under way.
type reader struct {
	name         string
	clients      []*harness.Client // one account, on each server
	conversation string
	sit          func(*reader, context.Context) error // one sitting
	rand         *rand.Rand
	total        *atomic.Int64 // how many events there are; 0: not known yet
	mayEnd       bool          // the account may be removed
	steady       bool          // it never leaves of its own accord

	events   []string // as JSON
	cursor   string
	sittings int
	resumed  int  // sittings that went on behind a cursor and brought events
	ended    bool // was told that the account is removed
	fault    error
}

// complete reports whether it has all events.
func (r *reader) complete() bool {
	total := r.total.Load()
	return total > 0 && int64(len(r.events)) >= total
}

// run reads until it has all events.
func (r *reader) run(ctx context.Context) {
	for !r.complete() {
		if ctx.Err() != nil {
			r.fault = fmt.Errorf("%s has only %d of %d events after %d sittings, cursor %q",
				r.name, len(r.events), r.total.Load(), r.sittings, r.cursor)
			return
		}
		had := len(r.events)
		r.sittings++
		if err := r.sit(r, ctx); err != nil {
			r.fault = fmt.Errorf("%s, sitting %d, behind %d: %w", r.name, r.sittings, had, err)
			return
		}
		if had > 0 && len(r.events) > had {
			r.resumed++
		}
		if r.ended {
			return
		}
	}
}

// client is that of the server for this sitting.
func (r *reader) client() *harness.Client { return r.clients[r.rand.IntN(len(r.clients))] }

// briefly is how long a sitting may last, whatever it is in the middle of then.
func (r *reader) briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(1+r.rand.Int64N(int64(150*time.Millisecond))))
}

// take takes the next event, which must be exactly that.
func (r *reader) take(data string) error {
	var e struct {
		Seq int64 `json:"seq"`
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return fmt.Errorf("%w: %s", err, data)
	}
	if want := int64(len(r.events)) + 1; e.Seq != want {
		return fmt.Errorf("got event %d instead of %d: %s", e.Seq, want, data)
	}
	r.events = append(r.events, data)
	return nil
}

// goOn moves the cursor behind the events taken.
func (r *reader) goOn(cursor string) error {
	if place, _, ok := strings.Cut(cursor, "-"); !ok || place != strconv.Itoa(len(r.events)) {
		return fmt.Errorf("the cursor behind event %d is %q", len(r.events), cursor)
	}
	r.cursor = cursor
	return nil
}

// stream is a sitting at the stream. Its cursor goes into Last-Event-ID, as
// with a browser, or into the query.
func (r *reader) stream(ctx context.Context) error {
	sitting, leave := r.briefly(ctx)
	n := 1 + r.rand.IntN(300)
	if r.steady {
		leave()
		sitting, leave = context.WithCancel(ctx)
		n = math.MaxInt
	}
	defer leave()
	open := r.client().Stream
	if r.rand.IntN(4) > 0 {
		open = r.client().Resume
	}
	stream, err := open(sitting, r.conversation, r.cursor)
	if err != nil {
		return unless(sitting, err)
	}
	defer stream.Close()
	for ; n > 0 && !r.complete(); n-- {
		frame, ok, err := stream.Next()
		if !ok {
			return unless(sitting, err)
		}
		if frame.ID == "" {
			if r.ended = r.mayEnd && frame.Event == "end"; r.ended {
				return nil
			}
			if frame.Event != "heartbeat" {
				return fmt.Errorf("the stream says %s: %s", frame.Event, frame.Data)
			}
			continue
		}
		if err := r.take(frame.Data); err != nil {
			return err
		}
		if err := r.goOn(frame.ID); err != nil {
			return err
		}
	}
	return nil
}

// poll is a sitting of one long-poll; a third of them do not wait for the answer.
func (r *reader) poll(ctx context.Context) error {
	sitting, leave := ctx, context.CancelFunc(func() {})
	wait := "1"
	if r.rand.IntN(3) == 0 {
		sitting, leave = r.briefly(ctx)
		wait = "20"
	}
	defer leave()
	query := "?wait=" + wait + "&limit=" + strconv.Itoa(1+r.rand.IntN(300))
	if r.cursor != "" {
		query += "&after=" + r.cursor
	}
	a, err := r.client().Call(sitting, http.MethodGet, "/v1/conversations/"+r.conversation+"/events"+query, nil)
	if err != nil {
		return unless(sitting, err)
	}
	if r.ended = r.mayEnd && a.Status == http.StatusNotFound; r.ended {
		return nil
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("status %d: %s", a.Status, a.Body)
	}
	var page struct {
		Events []json.RawMessage `json:"events"`
		Cursor string            `json:"cursor"`
	}
	if err := a.Decode(&page); err != nil {
		return err
	}
	for _, e := range page.Events {
		if err := r.take(string(e)); err != nil {
			return err
		}
	}
	return r.goOn(page.Cursor)
}

// unless is err, or nil when the sitting was over by its own choice.
func unless(sitting context.Context, err error) error {
	switch {
	case sitting.Err() == nil && err == nil:
		return errors.New("the server ended the stream")
	case sitting.Err() == nil:
		return err
	default:
		return nil
	}
}

// readers are several that read the same conversation.
type readers struct {
	all   []*reader
	total atomic.Int64
	group sync.WaitGroup
}

// start lets two readers of each account begin: one reads the stream, one polls.
func (rs *readers) start(ctx context.Context, d dice, conversation string, mayEnd bool, accounts [][]*harness.Client) {
	for kind, sit := range map[string]func(*reader, context.Context) error{"stream": (*reader).stream, "poll": (*reader).poll} {
		for i, clients := range accounts {
			rs.run(ctx, d, &reader{
				name: fmt.Sprintf("%s reader %d", kind, i), clients: clients, conversation: conversation, sit: sit, mayEnd: mayEnd,
			})
		}
	}
}

// startSteady lets one reader of an account begin on each of its servers, who
// stays: unlike those who come back, it is told of nothing by asking.
func (rs *readers) startSteady(ctx context.Context, d dice, conversation string, clients []*harness.Client) {
	for i, c := range clients {
		rs.run(ctx, d, &reader{
			name: fmt.Sprintf("steady reader on server %d", i), clients: []*harness.Client{c},
			conversation: conversation, sit: (*reader).stream, steady: true,
		})
	}
}

func (rs *readers) run(ctx context.Context, d dice, r *reader) {
	r.rand, r.total = d.of(r.name), &rs.total
	rs.all = append(rs.all, r)
	rs.group.Go(func() { r.run(ctx) })
}

// finish waits for the readers and sees that all of them have read the log,
// byte for byte the same.
func (rs *readers) finish(t *testing.T, log []store.Event) (sittings, resumed int) {
	t.Helper()
	rs.total.Store(int64(len(log)))
	rs.group.Wait()
	for _, r := range rs.all {
		sittings, resumed = sittings+r.sittings, resumed+r.resumed
		if r.fault != nil {
			t.Error(r.fault)
			continue
		}
		if len(r.events) != len(log) {
			t.Errorf("%s has %d events of %d", r.name, len(r.events), len(log))
			continue
		}
		for i, data := range r.events {
			if first := rs.all[0].events; i < len(first) && data != first[i] {
				t.Errorf("%s has event %d as %s, %s as %s", r.name, i+1, data, rs.all[0].name, first[i])
				break
			}
			if err := sameEvent(data, &log[i]); err != nil {
				t.Errorf("%s, event %d: %v", r.name, i+1, err)
				break
			}
		}
	}
	return sittings, resumed
}

// sameEvent compares what a reader got with what is stored.
func sameEvent(data string, stored *store.Event) error {
	var e harness.Event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return err
	}
	if e.ConversationID != stored.ConversationID.String() || e.Seq != stored.Seq || e.Type != string(stored.Type) ||
		e.SenderID != stored.SenderID.String() || e.Text != stored.Text || store.MillisOf(e.AcceptedAt) != stored.AcceptedAt {
		return fmt.Errorf("%s was read, %+v is stored", data, *stored)
	}
	if e.ClientID != "" {
		return fmt.Errorf("a client_id was shown to somebody else: %s", data)
	}
	return nil
}
