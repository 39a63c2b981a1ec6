package torture

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"holdline/internal/torture/history"
)

// NewPlan makes the plan for a scale, whose amounts are at least: 3 users, 1
// client, 1 conversation, 1 node, and a second.
func NewPlan(s Scale) *Plan {
	p := &planner{Plan: Plan{Scale: s}, rand: rand.New(rand.NewPCG(uint64(s.Seed), uint64(s.Clients)))}
	p.conversations()
	p.readers()
	p.acts()
	p.faults()
	return &p.Plan
}

// planner makes a plan. It follows who is in what conversation as far as the
// plan goes, so that most of what it plans is possible; the rest is refused.
type planner struct {
	Plan
	rand    *rand.Rand
	members [][]int // of each conversation, at the act being planned
	numbers int
	sent    map[int][]Act // by user, for replays
}

func (p *planner) chance(percent int) bool { return p.rand.IntN(100) < percent }

func (p *planner) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(p.rand.Int64N(int64(most-least)))
}

// part is a share of the run's duration.
func (p *planner) part(percent int) time.Duration {
	return p.Scale.Duration * time.Duration(percent) / 100
}

func (p *planner) pick(from []int) int { return from[p.rand.IntN(len(from))] }

func (p *planner) node() int { return p.rand.IntN(p.Scale.Nodes) }

// clientOf is one of the clients of a user.
func (p *planner) clientOf(user int) int {
	n := (p.Scale.Clients - user + p.Scale.Users - 1) / p.Scale.Users
	return user + p.rand.IntN(max(1, n))*p.Scale.Users
}

// userOf is whose a client is.
func (s Scale) userOf(client int) int { return client % s.Users }

// conversations plans those there are: mostly groups, some of which are
// created while everything else goes on; and some direct ones.
func (p *planner) conversations() {
	pairs := map[[2]int]bool{}
	for i := range p.Scale.Conversations {
		users := p.rand.Perm(p.Scale.Users)
		c := Conversation{Kind: "group", History: "joined", Late: i%5 == 3, Creator: users[0], Keeper: users[1]}
		pair := [2]int{min(users[0], users[1]), max(users[0], users[1])}
		switch {
		case i%4 == 3 && !pairs[pair]:
			pairs[pair] = true
			c.Kind, c.Members = "direct", users[:2]
		case i%6 == 5:
			c.History = "all"
			fallthrough
		default:
			c.Members = users[:2+p.rand.IntN(p.Scale.Users-1)]
		}
		p.Conversations = append(p.Conversations, c)
		p.members = append(p.members, slices.Clone(c.Members))
	}
}

// readers gives every client one way of reading; inboxes are as many as all
// others together.
func (p *planner) readers() {
	forms := []history.Form{
		history.Stream, history.InboxStream, history.Poll, history.InboxPoll,
		history.Text, history.InboxStream, history.Stream, history.InboxText,
	}
	for client := range p.Scale.Clients {
		r := Reader{Client: client, Form: forms[client%len(forms)], Conversation: -1, Stream: p.chance(50)}
		if !r.Form.Inbox() {
			r.Conversation = p.readable(p.Scale.userOf(client))
			if r.Conversation < 0 {
				r.Form = history.InboxPoll
			}
		}
		switch {
		case !r.Form.Inbox():
			r.From = history.FromSeq
		case r.Form == history.InboxText || p.chance(40):
			r.From = history.FromStart // lines of text have no place for a snapshot
		default:
			r.From = history.FromNow
		}
		if p.chance(30) {
			r.Delay = p.between(0, p.part(40))
		}
		r.Legs = p.legs()
		p.Readers = append(p.Readers, r)
	}
}

// readable is a conversation that the user is in from its beginning; -1 if
// there is none.
func (p *planner) readable(user int) int {
	var all []int
	for i, c := range p.Conversations {
		if !c.Late && slices.Contains(c.Members, user) {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return -1
	}
	return p.pick(all)
}

func (p *planner) legs() []Leg {
	legs := make([]Leg, 4+p.rand.IntN(5))
	for i := range legs {
		l := &legs[i]
		l.Lasts = p.between(200*time.Millisecond, 6*time.Second)
		if p.chance(40) {
			l.Gap = p.between(0, 3*time.Second)
		}
		l.Node = p.node()
		if p.chance(15) {
			l.Back = 1 + p.rand.IntN(20)
		}
		l.Fork = p.chance(7)
		l.Direct, l.Header, l.Bare = p.chance(15), p.chance(50), p.chance(10)
		l.Wait = 1 + p.rand.IntN(10)
		l.Limit = []int{1, 7, 100, 1000}[p.rand.IntN(4)]
	}
	return legs
}

// acts plans what clients do, from the run's beginning to its end.
func (p *planner) acts() {
	p.sent = map[int][]Act{}
	var creations []Act
	for i, c := range p.Conversations {
		if c.Late {
			at := p.between(p.part(5), p.part(50))
			creations = append(creations, Act{At: at, Verb: Create, Client: p.clientOf(c.Creator), Node: p.node(), Conversation: i, Number: p.number()})
			if c.Kind == "direct" { // both open it at once: it has to be one
				creations = append(creations, Act{At: at, Verb: Create, Client: p.clientOf(c.Members[1]), Node: p.node(), Conversation: i, Number: p.number()})
			}
		}
	}
	begun := make([]time.Duration, len(p.Conversations))
	for _, a := range creations {
		begun[a.Conversation] = a.At
	}
	p.Acts = creations
	// Three sends, then something else, on the average.
	gap := time.Second * 3 / time.Duration(4*p.Scale.Rate)
	for at := time.Duration(0); at < p.Scale.Duration; at += p.between(gap/2, gap*3/2) {
		c := p.rand.IntN(len(p.Conversations))
		if at < begun[c]+time.Second && p.Conversations[c].Late {
			continue
		}
		p.Acts = append(p.Acts, p.act(at, c))
	}
	slices.SortStableFunc(p.Acts, func(a, b Act) int { return cmp.Compare(a.At, b.At) })
}

func (p *planner) number() int { p.numbers++; return p.numbers }

func (p *planner) act(at time.Duration, conversation int) Act {
	c := &p.Conversations[conversation]
	members := p.members[conversation]
	user := p.pick(members)
	if p.chance(3) {
		user = p.rand.IntN(p.Scale.Users) // who may not be in it
	}
	a := Act{At: at, Client: p.clientOf(user), Node: p.node(), Conversation: conversation}
	switch n := p.rand.IntN(100); {
	case n < 75:
		p.planSend(&a, user)
	case n < 79:
		p.planMembers(&a, c)
	case n < 80:
		a.Verb, a.Number = Title, p.number()
	case n < 91:
		a.Verb, a.Read = Ack, p.chance(50)
	case n < 92:
		a.Verb = Beyond
	case n < 95:
		a.Verb = State
	case n < 96:
		a.Verb = List
	case n < 98:
		a.Verb = Head
	case user%4 == 3 && p.chance(50):
		// A few alone, because what they read is not compared.
		a.Verb, a.Read = Privacy, p.chance(40)
	default:
		a.Verb = Receipts
	}
	return a
}

func (p *planner) planSend(a *Act, user int) {
	a.Verb = Send
	if earlier := p.sent[user]; len(earlier) > 0 && p.chance(4) {
		e := earlier[p.rand.IntN(len(earlier))]
		a.Verb, a.Conversation, a.Number, a.Bytes = Replay, e.Conversation, e.Number, e.Bytes
		return
	}
	a.Number, a.Bytes = p.number(), 20+p.rand.IntN(100)
	switch {
	case p.chance(4):
		a.Verb = Twice
	case p.chance(2):
		a.Bytes = 1 + p.rand.IntN(16384)
	case p.chance(5):
		a.Reply = true
	}
	if p.chance(5) {
		a.Attempts = 1 + p.rand.IntN(2)
	}
	// What replies has a seq in it that only the run knows, so it is not replayed.
	if !a.Reply {
		p.sent[user] = append(p.sent[user], *a)
	}
}

// planMembers plans a change of who is in a group, done by its creator as long
// as they are in it. The keeper stays.
func (p *planner) planMembers(a *Act, c *Conversation) {
	members := p.members[a.Conversation]
	var others, outside []int
	for u := range p.Scale.Users {
		switch in := slices.Contains(members, u); {
		case !in:
			outside = append(outside, u)
		case u != c.Keeper && u != c.Creator:
			others = append(others, u)
		}
	}
	creator := slices.Contains(members, c.Creator)
	if creator {
		a.Client = p.clientOf(c.Creator)
	} else {
		a.Client = p.clientOf(c.Keeper) // the heir, if nobody was made admin and nobody is older
	}
	without := func(u int) {
		p.members[a.Conversation] = slices.DeleteFunc(slices.Clone(members), func(m int) bool { return m == u })
	}
	switch {
	case c.Kind == "direct":
		a.Verb, a.Users = Add, []int{p.rand.IntN(p.Scale.Users)} // refused
	case creator && c.Creator != c.Keeper && p.chance(4):
		a.Verb = Leave
		without(c.Creator)
	case len(outside) > 0 && (len(others) == 0 || p.chance(52)):
		a.Verb = Add
		p.rand.Shuffle(len(outside), func(i, j int) { outside[i], outside[j] = outside[j], outside[i] })
		a.Users = outside[:1+p.rand.IntN(min(3, len(outside)))]
		p.members[a.Conversation] = append(slices.Clone(members), a.Users...)
	case len(others) > 0 && p.chance(70):
		u := p.pick(others)
		a.Verb, a.Users = Remove, []int{u}
		without(u)
	case len(others) > 0:
		u := p.pick(others)
		a.Verb, a.Client = Leave, p.clientOf(u)
		without(u)
	default:
		a.Verb = State
	}
}
