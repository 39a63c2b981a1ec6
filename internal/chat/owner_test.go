package chat

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	holdline "holdline/sdk/go"
)

// owned is a Client that nothing connects: a test takes the place of the loop that owns it.
func owned(t *testing.T) *Client {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	api, err := holdline.New("http://127.0.0.1:1", holdline.Options{Token: "hl_me_x"}) // where nobody listens
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{
		o: Options{Session: Session{UserID: "me", Handle: "me"}}, api: api, outbox: open(t, t.TempDir()+"/outbox"),
		news: make(chan func()), ctx: ctx, stop: stop, acks: api.Acknowledger(holdline.AckOptions{}),
		names:         &names{api: api, known: map[string]string{"me": "me", "u1": "bob", "u2": "cleo"}},
		conversations: map[string]*Conversation{}, accepted: map[string]int64{}, ready: true,
	}
	t.Cleanup(func() {
		stop()
		c.work.Wait()
		_ = c.acks.Close(ctx) // which nobody answers
	})
	return c
}

// done runs what the client's jobs hand over, until none is left.
func (c *Client) done(t *testing.T) {
	t.Helper()
	for c.busy > 0 {
		select {
		case fn := <-c.news:
			fn()
		case <-time.After(time.Minute):
			t.Fatal("a job does not end")
		}
	}
}

// at is when message seq was accepted.
func at(seq int64) time.Time { return time.Date(2026, 1, 1, 0, 0, int(seq), 0, time.UTC) }

func said(id string, seq int64, text string) *holdline.Event {
	return &holdline.Event{ConversationId: id, Seq: seq, Type: "message", SenderId: "u1", Text: text, AcceptedAt: at(seq)}
}

// direct is a conversation as a snapshot lists it.
func direct(id string, last int64) holdline.Conversation {
	return holdline.Conversation{
		Id: id, Kind: kindDirect, LastSeq: last,
		LastMessage: holdline.Event{ConversationId: id, Seq: last, Type: "message", SenderId: "u1", Text: "last", AcceptedAt: at(last)},
	}
}

// A conversation that cannot be opened leaves the list, which must stay usable.
func TestTheScreenWithoutAConversation(t *testing.T) {
	t.Parallel()
	c := owned(t)
	s := newScreen(c)
	c.face = s
	c.begin([]holdline.Conversation{direct("a", 1), direct("b", 2)}, nil, map[string][]string{"a": {"me", "u1"}, "b": {"me", "u2"}})
	c.conversations["a"].loaded = true
	c.openConversation(c.conversations["a"])
	if v := s.View(); !strings.HasPrefix(v, "── bob ─") {
		t.Fatal(v)
	}
	c.input("/open cleo")
	c.done(t)
	for _, key := range []tea.KeyType{tea.KeyUp, tea.KeyPgUp, tea.KeyDown, tea.KeyTab, tea.KeyTab} {
		s.Update(tea.KeyMsg{Type: key})
		if v := s.View(); !strings.HasPrefix(v, "── Conversations ─") || !strings.Contains(v, "cannot be reached") {
			t.Fatal(v)
		}
	}
	s.chosen = "a"
	s.Update(tea.KeyMsg{Type: tea.KeyEnter})
	if v := s.View(); !strings.HasPrefix(v, "── bob ─") {
		t.Fatal(v)
	}
}

// After a restore a seq may be another message, so what was printed before is no reason to leave one out.
func TestLinesAfterARestore(t *testing.T) {
	t.Parallel()
	c := owned(t)
	var out bytes.Buffer
	p := &plain{c: c, out: &out, printed: map[string]int64{}}
	c.face = p
	load := func(last int64) {
		c.begin([]holdline.Conversation{direct("a", last)}, nil, map[string][]string{"a": {"me", "u1"}})
		v := c.conversations["a"]
		v.loaded, v.loading = true, false
		c.open = v
		p.opened(v)
	}
	load(1)
	c.event(said("a", 9, "before"))
	c.accepted["a"] = 9
	if !c.settled() {
		t.Error("not settled before")
	}
	c.take2(t, &holdline.Update{Kind: holdline.KindReset})
	c.open = nil
	load(4)
	if !c.settled() {
		t.Error("it waits for what the restore has taken away")
	}
	c.event(said("a", 5, "after"))
	if got := out.String(); !strings.Contains(got, ": before\n") || !strings.Contains(got, ": after\n") {
		t.Errorf("shown was %s", got)
	}
}

// take2 hands an update over as follow does.
func (c *Client) take2(t *testing.T, u *holdline.Update) {
	t.Helper()
	go c.take(u)
	select {
	case fn := <-c.news:
		fn()
	case <-time.After(time.Minute):
		t.Fatal("nothing is handed over")
	}
}

// /open NUMBER means the list that was shown last, whatever came, or was opened by name, since.
func TestNumbersAreThoseOfTheListThatWasShown(t *testing.T) {
	t.Parallel()
	c := owned(t)
	var out bytes.Buffer
	p := &plain{c: c, out: &out, printed: map[string]int64{}}
	c.face = p
	begin := func() {
		c.begin([]holdline.Conversation{direct("a", 1), direct("b", 2)}, nil, map[string][]string{"a": {"me", "u1"}, "b": {"me", "u2"}})
		c.conversations["a"].loaded, c.conversations["b"].loaded = true, true
	}
	begin()
	c.input("/list")
	if got := out.String(); !strings.Contains(got, "* 1  cleo") || !strings.Contains(got, "* 2  bob") {
		t.Fatal(got)
	}
	c.event(said("a", 3, "the latest"))
	c.input("/open cleo")
	c.input("/open 2")
	if c.open == nil || c.open.ID != "a" {
		t.Errorf("opened is %+v", c.open)
	}
	begin() // as after a restore
	c.input("/open 1")
	if c.open != c.conversations["b"] {
		t.Errorf("opened is %+v, which nothing will come to", c.open)
	}
}

// A title that is somebody's handle does not take the place of the conversation with them.
func TestAGroupIsNotTakenForAPerson(t *testing.T) {
	t.Parallel()
	c := owned(t)
	c.face = &plain{c: c, out: &bytes.Buffer{}, printed: map[string]int64{}}
	group := direct("g", 9)
	group.Kind, group.Title = "group", "bob"
	c.begin([]holdline.Conversation{direct("a", 1), group}, nil, map[string][]string{"a": {"me", "u1"}})
	for _, v := range c.conversations {
		v.loaded = true
	}
	c.input("/open bob")
	if c.open == nil || c.open.ID != "a" {
		t.Errorf("opened is %+v", c.open)
	}
}

// A member who is known already is not counted twice when the log tells of them.
func TestMembersAreCountedOnce(t *testing.T) {
	t.Parallel()
	c := owned(t)
	c.face = &plain{c: c, out: &bytes.Buffer{}, printed: map[string]int64{}}
	c.begin([]holdline.Conversation{direct("a", 1)}, nil, map[string][]string{"a": {"me", "u1", "u2"}})
	c.event(&holdline.Event{ConversationId: "a", Seq: 2, Type: "member", Action: "added", UserId: "u2", SenderId: "u1"})
	v := c.conversations["a"]
	v.note("u1", marks{read: 2})
	if got := v.tick(1, "me").words(); got != "read by 1 of 2" {
		t.Error(got)
	}
}

// The ticks of large groups fit beside the text.
func TestWideTicks(t *testing.T) {
	t.Parallel()
	c := owned(t)
	s := newScreen(c)
	c.face = s
	v := &Conversation{ID: "a", loaded: true, members: []string{"me"}, marks: map[string]marks{}}
	for i := range 255 {
		id := string(rune('Ā' + i))
		v.members = append(v.members, id)
		if i < 100 {
			v.note(id, marks{read: 1})
		}
	}
	v.insert(Message{Seq: 1, SenderID: "me", Text: strings.Repeat("ab cd ", 40), At: at(1)})
	c.conversations["a"], c.open, s.listing = v, v, false
	if got := s.View(); !strings.Contains(got, " read 100/255\n") {
		t.Error(got)
	}
}

// What an earlier run may have sent is not called unsent because one may not look any more.
func TestARefusalOfWhatWasTypedEarlier(t *testing.T) {
	t.Parallel()
	c := owned(t)
	var out bytes.Buffer
	c.face = &plain{c: c, out: &out, printed: map[string]int64{}}
	path := t.TempDir() + "/outbox"
	before := open(t, path)
	if err := before.Add(Entry{ClientID: "a", Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	gone := &holdline.Problem{Status: 404, Code: "not_found", Detail: "No such conversation."}
	for _, earlier := range []bool{false, true} {
		o := before
		if earlier {
			o = open(t, path)
		}
		e, ok := o.first()
		if !ok {
			t.Fatal("nothing waits")
		}
		out.Reset()
		c.answered(e, holdline.Event{}, gone)
		if certain := strings.Contains(out.String(), "Not sent: hello"); certain == earlier {
			t.Errorf("earlier %v: %s", earlier, out.String())
		}
	}
}

// A list that cannot be had to its end is shown as far as it is there.
func TestALongListThatBreaksOff(t *testing.T) {
	t.Parallel()
	c := owned(t)
	c.ready = false
	var out bytes.Buffer
	c.face = &plain{c: c, out: &out, printed: map[string]int64{}}
	titled := direct("a", 1)
	titled.Title = "Road trip"
	taken := make(chan bool, 1)
	go func() {
		taken <- c.takeSnapshot(&holdline.InboxSnapshot{Conversations: []holdline.Conversation{titled}, More: true, Next: "x"})
	}()
	for goes := true; goes; {
		select {
		case fn := <-c.news:
			fn()
		case ok := <-taken:
			goes = false
			if !ok {
				t.Error("the client ends")
			}
		}
	}
	if got := out.String(); !c.ready || !strings.Contains(got, "could be listed") || !strings.Contains(got, "* 1  Road trip") {
		t.Errorf("ready %v, shown was %s", c.ready, got)
	}
}
