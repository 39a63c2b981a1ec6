package check

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"holdline/internal/torture/history"
)

// simulation is an honest server with its clients: one thing happens after the
// other, and each operation takes effect at one moment between its begin and its
// end. It knows nothing of the checker.
type simulation struct {
	rand    *rand.Rand
	now     int64
	h       *history.History
	users   []string
	rooms   []*room
	clients []*client
	number  int
}

// room is a conversation on the server.
type room struct {
	id, mode, owner string
	log             []history.Event
	times           map[string][]*membership // by user
	marks           map[string]*history.Receipt
}

type membership struct{ from, join, to int64 } // to 0: still

func (r *room) head() int64 { return int64(len(r.log)) }

func (r *room) member(user string) bool {
	all := r.times[user]
	return len(all) > 0 && all[len(all)-1].to == 0
}

func (r *room) sees(user string, seq int64) bool {
	for _, m := range r.times[user] {
		if m.from <= seq && (m.to == 0 || seq <= m.to) {
			return true
		}
	}
	return false
}

func simulate(seed uint64, rounds int) *history.History {
	s := &simulation{rand: rand.New(rand.NewPCG(seed, 1)), now: 1_000_000, h: &history.History{}}
	s.h.Run = history.Run{Seed: int64(seed), Epochs: []history.Epoch{{At: 1, Name: "k7q"}}}
	for i := range 5 {
		u := history.User{ID: fmt.Sprintf("u%d", i), Handle: fmt.Sprintf("user%d", i)}
		s.h.Users, s.users = append(s.h.Users, u), append(s.users, u.ID)
	}
	for i, mode := range []string{"joined", "all", "joined"} {
		s.create(fmt.Sprintf("c%d", i), mode)
	}
	for range rounds {
		s.now += s.rand.Int64N(1_000_000)
		s.round()
	}
	s.finish()
	s.rand.Shuffle(len(s.h.Operations), func(i, j int) {
		s.h.Operations[i], s.h.Operations[j] = s.h.Operations[j], s.h.Operations[i]
	})
	return s.h
}

func (s *simulation) chance(percent int) bool { return s.rand.IntN(100) < percent }

func (s *simulation) room() *room { return s.rooms[s.rand.IntN(len(s.rooms))] }

func (s *simulation) user() string { return s.users[s.rand.IntN(len(s.users))] }

// around makes an operation that takes effect now.
func (s *simulation) around(kind history.Kind, user string, r *room) history.Operation {
	return history.Operation{
		Kind: kind, Client: "client-" + user, User: user, Conversation: r.id, Node: "node-1", Outcome: history.OK, Status: 200,
		Begin: s.now - s.rand.Int64N(1_000_000), End: s.now + s.rand.Int64N(1_000_000),
	}
}

func (s *simulation) record(o history.Operation) { s.h.Operations = append(s.h.Operations, o) }

func (r *room) append(now int64, e history.Event) history.Event {
	e.Conversation, e.Seq, e.AcceptedAt = r.id, r.head()+1, fmt.Sprintf("%020d", now/1000)
	r.log = append(r.log, e)
	return e
}

func (s *simulation) create(id, mode string) {
	r := &room{id: id, mode: mode, owner: s.users[0], times: make(map[string][]*membership), marks: make(map[string]*history.Receipt)}
	s.rooms = append(s.rooms, r)
	members := s.users[:3]
	o := s.around(history.Create, r.owner, r)
	o.Members, o.Status = members, 201
	r.append(s.now, history.Event{Type: "created", Sender: r.owner, Kind: "group", Members: members})
	for _, u := range members {
		r.times[u] = []*membership{{1, 1, 0}}
	}
	s.record(o)
	s.now += 1_000_000
}

func (s *simulation) round() {
	r, user := s.room(), s.user()
	switch n := s.rand.IntN(100); {
	case n < 40:
		s.send(r, user)
	case n < 48:
		s.change(r)
	case n < 58:
		s.ack(r, user)
	case n < 66:
		s.look(r, user)
	case n < 70:
		s.connect(r, user)
	case n < 73 && len(s.clients) > 0:
		s.fork(s.clients[s.rand.IntN(len(s.clients))])
	case len(s.clients) > 0:
		s.clients[s.rand.IntN(len(s.clients))].ask(s, 1+s.rand.IntN(6))
	}
}

// send sends a message: answered, refused, stored or lost without an answer,
// and with repeats.
func (s *simulation) send(r *room, user string) {
	s.number++
	o := s.around(history.Send, user, r)
	o.ClientID, o.Text = fmt.Sprintf("m-%d", s.number), fmt.Sprintf("text %d", s.number)
	refused := func(status int, code string) {
		o.Outcome, o.Status, o.Code = history.Refused, status, code
		s.record(o)
	}
	if !r.member(user) {
		refused(404, "not_found")
		return
	}
	if s.chance(10) { // a first attempt that leaves nothing behind
		first := o
		if s.chance(50) {
			refused(503, "overloaded")
		} else {
			o.Outcome, o.Status = history.Unknown, 0
			s.record(o)
		}
		if s.chance(50) {
			return
		}
		s.now = max(s.now, first.End) + 1 + s.rand.Int64N(1_000_000)
		begin, end := s.now-s.rand.Int64N(1000), s.now+s.rand.Int64N(1000)
		o = first
		o.Begin, o.End = begin, end
	}
	e := r.append(s.now, history.Event{Type: "message", Sender: user, Text: o.Text})
	o.Seq, o.AcceptedAt, o.Status = e.Seq, e.AcceptedAt, 201
	if s.chance(15) { // the answer is lost
		lost := o
		lost.Outcome, lost.Status, lost.Seq, lost.AcceptedAt = history.Unknown, 0, 0, ""
		s.record(lost)
		if s.chance(40) {
			return
		}
		o.Begin, o.Status = lost.End+s.rand.Int64N(1_000_000), 200
		o.End = o.Begin + s.rand.Int64N(1_000_000)
	}
	s.record(o)
	if s.chance(5) {
		again := o
		again.Status, again.Begin = 200, o.End+1
		again.End = again.Begin + s.rand.Int64N(1_000_000)
		s.record(again)
	}
}

// change adds, removes, or lets leave, or gives a title.
func (s *simulation) change(r *room) {
	user := s.users[1+s.rand.IntN(len(s.users)-1)]
	o := s.around(history.Add, r.owner, r)
	o.Members = []string{user}
	e := history.Event{Type: "member", Sender: r.owner, User: user}
	switch {
	case s.chance(20):
		s.number++
		o.Kind, o.Members, o.Text = history.Title, nil, fmt.Sprintf("title %d", s.number)
		e = history.Event{Type: "title", Sender: r.owner, Title: o.Text}
	case !r.member(user):
		e.Action = "added"
	case s.chance(30):
		o.Kind, o.User, o.Client, e.Action, e.Sender = history.Leave, user, "client-"+user, "left", user
	default:
		o.Kind, e.Action = history.Remove, "removed"
	}
	e = r.append(s.now, e)
	switch all := r.times[user]; e.Action {
	case "added":
		m := &membership{e.Seq, e.Seq, 0}
		if r.mode == "all" {
			m.from = 1
			if len(all) > 0 {
				m.from = all[len(all)-1].to + 1
			}
		}
		r.times[user] = append(all, m)
	case "removed", "left":
		all[len(all)-1].to = e.Seq
	}
	if o.Kind != history.Title {
		o.Events = []history.Event{e}
	}
	if s.chance(20) {
		o.Outcome, o.Status, o.Events = history.Unknown, 0, nil
	}
	s.record(o)
}

func (r *room) mark(user string, delivered, read int64) {
	if !r.member(user) {
		return
	}
	m := r.marks[user]
	if m == nil {
		m = &history.Receipt{Conversation: r.id, User: user}
		r.marks[user] = m
	}
	m.Delivered, m.Read = max(m.Delivered, delivered, read), max(m.Read, read)
}

func (s *simulation) ack(r *room, user string) {
	o := s.around(history.Ack, user, r)
	o.Conversation, o.Status = "", 204
	seq := 1 + s.rand.Int64N(r.head())
	if s.chance(50) {
		o.Read = map[string]int64{r.id: seq}
		r.mark(user, 0, seq)
	} else {
		o.Delivered = map[string]int64{r.id: seq}
		r.mark(user, seq, 0)
	}
	if s.chance(10) {
		o.Outcome, o.Status = history.Unknown, 0
	}
	s.record(o)
}

// view is the conversation as one of its members is shown it.
func (r *room) view(user string) *history.View {
	all := r.times[user]
	v := &history.View{FirstSeq: all[0].from, LastSeq: r.head()}
	if m := r.marks[user]; m != nil {
		v.DeliveredSeq, v.ReadSeq = m.Delivered, m.Read
	}
	for _, e := range r.log {
		if e.Type == "message" && e.Sender != user && e.Seq > v.ReadSeq && e.Seq >= all[len(all)-1].from {
			v.Unread++
		}
	}
	return v
}

func (s *simulation) look(r *room, user string) {
	if !r.member(user) {
		return
	}
	switch o := s.around(history.State, user, r); s.rand.IntN(3) {
	case 0:
		o.State = r.view(user)
		s.record(o)
	case 1:
		o.Kind, o.Seq = history.Head, r.head()
		s.record(o)
	default:
		o.Kind, o.Seq = history.Receipts, 1+s.rand.Int64N(r.head())
		for _, u := range slices.Sorted(maps.Keys(r.times)) {
			if u == user || !r.member(u) {
				continue
			}
			got := history.Receipt{Conversation: r.id, User: u}
			if m := r.marks[u]; m != nil && m.Delivered >= o.Seq {
				got.Delivered = o.Seq
				if m.Read >= o.Seq {
					got.Read = o.Seq
				}
			}
			o.Receipts = append(o.Receipts, got)
		}
		s.record(o)
	}
}

// finish lets all clients read to the end, which moves receipts, tells them of
// those, and records how everything was then.
func (s *simulation) finish() {
	for _, c := range s.clients {
		s.now += 1_000_000
		c.ask(s, 1<<20)
		c.ask(s, 1<<20)
	}
	for _, c := range s.clients {
		s.now += 1_000_000
		if c.reader.Form.Inbox() {
			c.tell(s)
		}
		c.reader.Complete, c.reader.ReceiptsComplete = true, c.reader.Form.Inbox()
		s.h.Readers = append(s.h.Readers, *c.reader)
	}
	for _, r := range s.rooms {
		v := history.Conversation{ID: r.id, Kind: "group", History: r.mode, Reader: r.owner, ReadAt: s.now, Log: r.log}
		for _, u := range slices.Sorted(maps.Keys(r.times)) {
			if all := r.times[u]; r.member(u) {
				v.Members = append(v.Members, history.Member{User: u, Role: "member", FromSeq: all[len(all)-1].join})
				if m := r.marks[u]; m != nil {
					v.Receipts = append(v.Receipts, *m)
				}
			}
		}
		s.h.Conversations = append(s.h.Conversations, v)
	}
}
