package check

import (
	"fmt"
	"maps"

	"holdline/internal/torture/history"
)

// client reads along one chain of cursors.
type client struct {
	reader *history.Reader
	place  cursor
	places []cursor // places[n] is the one after the first n steps
}

// cursor is what the server knows of a chain: the seq in each conversation that
// it has got to, and the receipts that it was given.
type cursor struct {
	at       map[string]int64
	receipts map[place]history.Receipt
}

func (c cursor) clone() cursor { return cursor{maps.Clone(c.at), maps.Clone(c.receipts)} }

// connect begins a chain.
func (s *simulation) connect(r *room, user string) {
	forms := []history.Form{history.Stream, history.Poll, history.Text, history.InboxStream, history.InboxPoll, history.InboxText}
	c := s.begin(user, forms[s.rand.IntN(len(forms))])
	switch {
	case !c.reader.Form.Inbox():
		if !r.member(user) {
			return
		}
		c.reader.Conversation = r.id
		c.reader.Start = history.Start{From: history.FromSeq}
		if s.chance(50) {
			c.reader.Start.After = s.rand.Int64N(r.head() + 1)
		}
		c.place.at[r.id] = c.reader.Start.After
	case s.chance(50):
		c.reader.Start = history.Start{From: history.FromStart}
		c.tell(s)
	default:
		c.fromNow(s)
	}
	s.clients = append(s.clients, c)
}

func (s *simulation) begin(user string, form history.Form) *client {
	s.number++
	return &client{
		reader: &history.Reader{ID: fmt.Sprintf("r%d", s.number), Client: "reading-" + user, User: user, Form: form, Begin: s.now - s.rand.Int64N(1000)},
		place:  cursor{make(map[string]int64), make(map[place]history.Receipt)},
	}
}

// fromNow is a first connect with a snapshot; some of what it shows comes again.
func (c *client) fromNow(s *simulation) {
	c.reader.Start = history.Start{From: history.FromNow, Snapshot: make(map[string]int64)}
	for _, r := range s.rooms {
		c.place.at[r.id] = -1 // from about their joining on
		if r.member(c.reader.User) {
			c.reader.Start.Snapshot[r.id] = r.head()
			c.place.at[r.id] = r.head()
		}
	}
	c.tell(s)
	for _, r := range s.rooms {
		if r.member(c.reader.User) && s.chance(50) && r.sees(c.reader.User, r.head()) {
			c.give(s, c.shown(r.log[r.head()-1]))
		}
	}
}

// fork begins a chain with an old cursor of another one.
func (s *simulation) fork(parent *client) {
	c := s.begin(parent.reader.User, parent.reader.Form)
	steps := s.rand.IntN(len(parent.reader.Steps) + 1)
	c.reader.Conversation = parent.reader.Conversation
	c.reader.Start = history.Start{From: history.FromReader, Reader: parent.reader.ID, Steps: steps}
	c.place = parent.placeAfter(steps).clone()
	s.clients = append(s.clients, c)
}

func (c *client) placeAfter(steps int) cursor {
	if steps < len(c.places) {
		return c.places[steps]
	}
	return c.place
}

func (c *client) step(s *simulation, step history.Step) {
	s.now += 1 + s.rand.Int64N(1000)
	step.At = s.now
	c.places = append(c.places, c.place.clone())
	c.reader.Steps = append(c.reader.Steps, step)
}

// ask goes on with the newest cursor or an older one, and is given up to limit
// events, then receipts.
func (c *client) ask(s *simulation, limit int) {
	request := &history.Request{Covers: len(c.reader.Steps), Cursor: s.chance(80), Node: "node-2"}
	if s.chance(10) && limit < 1000 {
		request.Covers = s.rand.IntN(len(c.reader.Steps) + 1)
	}
	place := c.placeAfter(request.Covers).clone()
	c.step(s, history.Step{Request: request})
	c.place = place
	for _, r := range s.rooms {
		if seq := c.place.at[r.id]; request.Cursor && seq > 0 {
			r.mark(c.reader.User, seq, 0)
		}
	}
	for _, i := range s.rand.Perm(len(s.rooms)) {
		r := s.rooms[i]
		if !c.reader.Form.Inbox() && c.reader.Conversation != r.id {
			continue
		}
		limit = c.follow(s, r, limit)
	}
	if c.reader.Form.Inbox() {
		c.tell(s)
	} else if r := s.find(c.reader.Conversation); !r.member(c.reader.User) && s.chance(30) {
		c.step(s, history.Step{Ending: &history.Ending{Code: "not_found"}})
	}
}

func (s *simulation) find(id string) *room {
	for _, r := range s.rooms {
		if r.id == id {
			return r
		}
	}
	return nil
}

// follow gives what comes next in one conversation.
func (c *client) follow(s *simulation, r *room, limit int) int {
	user, inbox := c.reader.User, c.reader.Form.Inbox()
	if c.place.at[r.id] < 0 && r.member(user) {
		// What was said before the joining and may be seen comes in part.
		last := r.times[user][len(r.times[user])-1]
		c.place.at[r.id] = last.from - 1 + s.rand.Int64N(last.join-last.from+1)
	}
	for seq := max(0, c.place.at[r.id]) + 1; seq <= r.head() && limit > 0 && c.place.at[r.id] >= 0; seq++ {
		if r.sees(user, seq) {
			c.give(s, c.shown(r.log[seq-1]))
			c.place.at[r.id] = seq
			limit--
			continue
		}
		through := seq
		for through <= r.head() && !r.sees(user, through) {
			through++
		}
		if through > r.head() {
			break // away until now
		}
		started := !inbox && seq > r.times[user][0].from
		if started || inbox && s.chance(50) {
			c.give(s, &history.Event{Conversation: r.id, Seq: seq, Through: through - 1, Type: "hidden"})
			c.place.at[r.id] = through - 1
		}
		seq = through - 1
	}
	return limit
}

// shown is an event as this form of reading shows it.
func (c *client) shown(e history.Event) *history.Event {
	switch c.reader.Form {
	case history.Text, history.InboxText:
		e.Role, e.Kind, e.Members = "", "", nil
	default:
		if e.Type == "message" && e.Sender == c.reader.User {
			e.ClientID = "m-" + e.Text[len("text "):]
		}
	}
	return &e
}

func (c *client) give(s *simulation, e *history.Event) { c.step(s, history.Step{Event: e}) }

// tell gives the receipts that changed.
func (c *client) tell(s *simulation) {
	for _, r := range s.rooms {
		if !r.member(c.reader.User) {
			continue
		}
		for _, u := range s.users {
			p := place{u, r.id}
			if m := r.marks[u]; m != nil && r.member(u) && *m != c.place.receipts[p] {
				told := *m
				c.step(s, history.Step{Receipt: &told})
				c.place.receipts[p] = told
			}
		}
	}
}
