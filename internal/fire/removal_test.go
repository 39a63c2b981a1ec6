package fire

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
	"holdline/store"
)

// secret stands in every message that the removed member must not see.
const secret = "not for bob"

// piece is an event in the fields that removal is about.
type piece struct {
	Seq        int64  `json:"seq"`
	ThroughSeq int64  `json:"through_seq"`
	Type       string `json:"type"`
	UserID     string `json:"user_id"`
	Action     string `json:"action"`
	Text       string `json:"text"`
}

// lastSeq is the last seq that a piece stands for.
func (p *piece) lastSeq() int64 { return max(p.Seq, p.ThroughSeq) }

// heard is what a stream or a poll gave until it ended.
type heard struct {
	pieces []piece
	ending string // the code of the problem in `event: end`, or of the answer
	raw    string // everything
	at     time.Time
	err    error
}

func (h *heard) take(data string) {
	var p piece
	if err := json.Unmarshal([]byte(data), &p); err != nil {
		h.err = err
	}
	if p.Text == secret {
		h.err = fmt.Errorf("event %d was not to be read", p.Seq)
	}
	h.pieces, h.raw = append(h.pieces, p), h.raw+data+"\n"
}

// hear reads a stream until it says its end, or stands at the seq until.
func hear(stream *harness.Stream, until int64) (h heard) {
	defer stream.Close()
	for {
		frame, ok, err := stream.Next()
		h.at = time.Now()
		switch {
		case !ok:
			h.err = fmt.Errorf("the stream broke behind %d events: %w", len(h.pieces), err)
			return h
		case frame.Event == "end" || frame.Event == "reset":
			var p harness.Problem
			h.err = json.Unmarshal([]byte(frame.Data), &p)
			h.ending, h.raw = frame.Event+" "+p.Code, h.raw+frame.Data
			if _, more, err := stream.Next(); more || err != nil {
				h.err = fmt.Errorf("after its end the stream goes on (%t, %w)", more, err)
			}
			return h
		case frame.ID != "":
			h.take(frame.Data)
			if h.err != nil || h.pieces[len(h.pieces)-1].lastSeq() == until {
				return h
			}
		}
	}
}

// pollOn polls behind a cursor until it is refused, or stands at the seq until.
func pollOn(ctx context.Context, c *harness.Client, conversation, cursor string, wait int, until int64) (h heard) {
	for {
		path := fmt.Sprintf("/v1/conversations/%s/events?limit=3&wait=%d&after=%s", conversation, wait, cursor)
		a, err := c.Call(ctx, http.MethodGet, path, nil)
		h.at = time.Now()
		if err != nil {
			h.err = err
			return h
		}
		if a.Status != http.StatusOK {
			h.ending, h.raw = fmt.Sprint(a.Status, " ", a.Problem().Code), h.raw+string(a.Body)
			return h
		}
		var page struct {
			Events []json.RawMessage `json:"events"`
			Cursor string            `json:"cursor"`
		}
		if h.err = a.Decode(&page); h.err != nil {
			return h
		}
		cursor = page.Cursor
		for _, e := range page.Events {
			h.take(string(e))
		}
		if n := len(h.pieces); h.err != nil || n > 0 && h.pieces[n-1].lastSeq() == until {
			return h
		}
	}
}

// the ways in which a removed member is told so.
const (
	streamEnds = "end not_found"
	pollEnds   = "404 not_found"
)

// checkRemoved sees that what was heard is exactly the events from one seq up
// to the removal, that nothing of what came later is in it, and its ending.
func (h *heard) checkRemoved(t *testing.T, what string, from, removal int64, bob, ending string) {
	t.Helper()
	if h.err != nil || h.ending != ending {
		t.Errorf("%s: ended as %q, want %q (%v)", what, h.ending, ending, h.err)
	}
	if strings.Contains(h.raw, secret) {
		t.Errorf("%s: it holds what came after the removal: %s", what, h.raw)
	}
	if want := max(0, removal-from+1); int64(len(h.pieces)) != want {
		t.Errorf("%s: %d events, want those from %d to %d: %s", what, len(h.pieces), from, removal, h.raw)
		return
	}
	for i, p := range h.pieces {
		if p.Seq != from+int64(i) || p.ThroughSeq != 0 {
			t.Errorf("%s: event %d is %+v", what, i+1, p)
		}
	}
	if n := len(h.pieces); n > 0 {
		if p := h.pieces[n-1]; p.Type != "member" || p.UserID != bob || p.Action != "removed" {
			t.Errorf("%s: the last event is %+v, not the removal", what, p)
		}
	}
}

// club is a conversation that bob is in, on one or more servers.
type club struct {
	t            *testing.T
	ann          *harness.Client
	bob          []*harness.Client // on each server
	conversation string
	last         int64 // the head
}

func newClub(t *testing.T, servers ...*harness.Server) *club {
	t.Helper()
	c := &club{t: t, ann: servers[0].SignUp("ann"), last: 1}
	bob := servers[0].SignUp("bob")
	servers[0].SignUp("cleo")
	for _, s := range servers {
		c.bob = append(c.bob, bob.At(s))
	}
	c.conversation = c.ann.Group("bob", "cleo")
	return c
}

func (c *club) say(n int, text string) {
	c.t.Helper()
	for range n {
		c.last++
		if e := c.ann.MustSend(c.conversation, fmt.Sprint(c.last), text); e.Seq != c.last {
			c.t.Fatalf("seq %d instead of %d", e.Seq, c.last)
		}
	}
}

// remove removes bob, and returns when that was answered.
func (c *club) remove() time.Time {
	c.t.Helper()
	c.ann.Must(http.StatusOK, http.MethodDelete, "/v1/conversations/"+c.conversation+"/members/"+c.bob[0].UserID, nil, nil)
	c.last++
	return time.Now()
}

func (c *club) add() {
	c.t.Helper()
	c.ann.Must(http.StatusCreated, http.MethodPost, "/v1/conversations/"+c.conversation+"/members", map[string]any{"members": []string{"bob"}}, nil)
	c.last++
}

// cursorAt is a cursor that a server gave bob for a seq.
func (c *club) cursorAt(ctx context.Context, bob *harness.Client, seq int64) string {
	c.t.Helper()
	page, a, err := bob.Events(ctx, c.conversation, fmt.Sprint(seq), 0)
	if err != nil || a.Status != http.StatusOK {
		c.t.Fatalf("status %d, %v: %s", a.Status, err, a.Body)
	}
	_, epoch, _ := strings.Cut(page.Cursor, "-")
	return fmt.Sprintf("%d-%s", seq, epoch)
}

// soon is far below what any other mechanism than the one at work would take,
// like the next heartbeat (15 s).
const soon = 5 * time.Second

// On one server, whose sweep would come much too late: the open stream of a
// removed member gets their removal and its end at once, and so does a poll
// that waits.
func TestRemovalEndsReadersAtOnce(t *testing.T) {
	testdb.Each(t, func(t *testing.T, database string) {
		c := newClub(t, harness.Start(t, harness.Config{Database: database, Args: []string{"--sweep=1m"}}))
		c.removal(false, soon)
		checkStore(t, openStore(t, database))
	})
}

// On two servers without hints: at once where the removal was made, and within
// the sweep on the other one. Asked before it has swept, that one shows nothing
// above the removal either.
func TestRemovalReachesTheOtherServer(t *testing.T) {
	const sweep = 2 * time.Second
	for name, ask := range map[string]bool{"by its sweep": false, "asked before its sweep": true} {
		t.Run(name, func(t *testing.T) {
			database := testdb.Postgres(t)
			config := harness.Config{Database: database, Args: []string{"--hints=off", "--sweep", sweep.String()}}
			c := newClub(t, harness.Start(t, config), harness.Start(t, config))
			c.removal(ask, soon, sweep+soon)
			checkStore(t, openStore(t, database))
		})
	}
}

// removal takes bob through removal, an absence, and a return. within bounds
// how long each server may take to tell his readers that wait. ask makes him ask
// for everything at once besides.
func (c *club) removal(ask bool, within ...time.Duration) {
	t := c.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c.say(5, "for all") // 2 to 6
	old, head := int64(3), c.last
	var cursors, heads []string // from each server
	var streams, polls []chan heard
	for _, bob := range c.bob {
		cursors = append(cursors, c.cursorAt(ctx, bob, old))
		heads = append(heads, c.cursorAt(ctx, bob, head))
		stream, err := bob.Stream(ctx, c.conversation, heads[len(heads)-1])
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := stream.Next(); !ok { // the first heartbeat: it waits now
			t.Fatal(err)
		}
		s, p := make(chan heard, 1), make(chan heard, 1)
		streams, polls = append(streams, s), append(polls, p)
		go func() { s <- hear(stream, -1) }()
		go func() { p <- pollOn(ctx, bob, c.conversation, heads[0], 50, -1) }()
	}
	removed := c.remove()
	r := c.last
	c.say(5, secret)

	for i, bob := range c.bob {
		if ask {
			c.checkRoutes(ctx, fmt.Sprintf("server %d, at once", i), bob, cursors, r)
		}
	}
	for i := range c.bob {
		s, p := <-streams[i], <-polls[i]
		s.checkRemoved(t, fmt.Sprintf("the open stream on server %d", i), head+1, r, c.bob[0].UserID, streamEnds)
		p.checkRemoved(t, fmt.Sprintf("the waiting poll on server %d", i), head+1, r, c.bob[0].UserID, pollEnds)
		t.Logf("server %d: the stream ended %v after the removal, the poll %v", i,
			s.at.Sub(removed).Round(time.Millisecond), p.at.Sub(removed).Round(time.Millisecond))
		if took := max(s.at.Sub(removed), p.at.Sub(removed)); took > within[i] {
			t.Errorf("server %d told bob %v after the removal", i, took)
		}
	}
	c.say(5, secret)
	for i, bob := range c.bob {
		c.checkRoutes(ctx, fmt.Sprintf("server %d, later", i), bob, cursors, r)
	}
	c.checkReturn(ctx, cursors, r)
}

// checkRoutes asks for everything in every way: bob gets what is behind his
// cursor up to his removal, then is told that he is out; nothing else.
func (c *club) checkRoutes(ctx context.Context, when string, bob *harness.Client, cursors []string, r int64) {
	t := c.t
	t.Helper()
	_, epoch, _ := strings.Cut(cursors[0], "-")
	for _, from := range append([]string{"0", fmt.Sprint(r - 1), fmt.Sprint(r), fmt.Sprintf("%d-%s", r, epoch)}, cursors...) {
		first := placeOf(t, from)
		what := fmt.Sprintf("%s, behind %q", when, from)
		h := pollOn(ctx, bob, c.conversation, from, 0, -1)
		h.checkRemoved(t, what+", by poll", first+1, r, bob.UserID, pollEnds)
		for _, open := range []func(context.Context, string, string) (*harness.Stream, error){bob.Stream, bob.Resume} {
			stream, err := open(ctx, c.conversation, from)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			h := hear(stream, -1)
			h.checkRemoved(t, what+", by stream", first+1, r, bob.UserID, streamEnds)
		}
	}
	base := "/v1/conversations/" + c.conversation
	message := map[string]string{"client_id": "late", "text": "let me in"}
	for _, call := range []struct {
		method, path string
		body         any
		status       int
	}{
		{http.MethodGet, base, nil, 404},
		{http.MethodPatch, base, map[string]string{"title": "mine"}, 404},
		{http.MethodGet, base + "/members", nil, 404},
		{http.MethodPost, base + "/members", map[string]any{"members": []string{"bob"}}, 404},
		{http.MethodDelete, base + "/members/me", nil, 404},
		{http.MethodGet, base + "/messages", nil, 404},
		{http.MethodGet, base + "/messages?after=1", nil, 404},
		{http.MethodGet, base + "/messages?before=1000", nil, 404},
		{http.MethodPost, base + "/messages", message, 404},
		{http.MethodGet, fmt.Sprintf("%s/messages/%d", base, r+1), nil, 404},
		{http.MethodGet, fmt.Sprintf("%s/messages/%d/receipts", base, r+1), nil, 404},
		{http.MethodGet, base + "/events?before=1000", nil, 404},
		{http.MethodPost, "/v1/acks", map[string]any{"read": map[string]int64{c.conversation: r + 1}}, 204},
		{http.MethodGet, "/v1/conversations", nil, 200},
	} {
		a, err := bob.Call(ctx, call.method, call.path, call.body)
		if err != nil || a.Status != call.status {
			t.Errorf("%s: %s %s: status %d, want %d (%v): %s", when, call.method, call.path, a.Status, call.status, err, a.Body)
		}
		if strings.Contains(string(a.Body), secret) || strings.Contains(string(a.Body), c.conversation) {
			t.Errorf("%s: %s %s tells of the conversation: %s", when, call.method, call.path, a.Body)
		}
	}
}

// checkReturn adds bob again: what lies between his removal and his return is
// one hidden event, wherever he goes on from.
func (c *club) checkReturn(ctx context.Context, cursors []string, r int64) {
	t := c.t
	t.Helper()
	c.add()
	join := c.last
	c.say(3, "for all again")
	_, epoch, _ := strings.Cut(cursors[0], "-")
	for i, bob := range c.bob {
		for _, from := range []string{"0", cursors[i], fmt.Sprintf("%d-%s", r, epoch)} {
			what := fmt.Sprintf("back on server %d behind %q", i, from)
			h := pollOn(ctx, bob, c.conversation, from, 5, c.last)
			c.checkReturned(what+", by poll", &h, from, r, join)
			stream, err := bob.Resume(ctx, c.conversation, from)
			if err != nil {
				t.Fatal(err)
			}
			h = hear(stream, c.last)
			c.checkReturned(what+", by stream", &h, from, r, join)
		}
	}
}

func (c *club) checkReturned(what string, h *heard, from string, r, join int64) {
	c.t.Helper()
	if h.err != nil || h.ending != "" {
		c.t.Errorf("%s: %q, %v", what, h.ending, h.err)
	}
	if strings.Contains(h.raw, secret) {
		c.t.Errorf("%s: it holds what was hidden: %s", what, h.raw)
	}
	for next := placeOf(c.t, from) + 1; next <= r; next++ {
		if len(h.pieces) == 0 || h.pieces[0].Seq != next || h.pieces[0].Type == string(store.EventHidden) {
			c.t.Fatalf("%s: event %d is not there: %s", what, next, h.raw)
		}
		h.pieces = h.pieces[1:]
	}
	if len(h.pieces) == 0 || h.pieces[0].Type != string(store.EventHidden) || h.pieces[0].Seq != r+1 || h.pieces[0].ThroughSeq != join-1 {
		c.t.Fatalf("%s: no hidden event from %d to %d: %s", what, r+1, join-1, h.raw)
	}
	for i, p := range h.pieces[1:] {
		if p.Seq != join+int64(i) || p.Type == string(store.EventHidden) {
			c.t.Errorf("%s: %+v instead of event %d", what, p, join+int64(i))
		}
	}
	if got, want := int64(len(h.pieces)-1), c.last-join+1; got != want {
		c.t.Errorf("%s: %d events since the return, want %d", what, got, want)
	}
}
