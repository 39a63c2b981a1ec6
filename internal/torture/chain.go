package torture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"holdline/internal/torture/history"
)

// chain is one reader: a device that follows cursors. One goroutine reads; others may
// look at where it is.
type chain struct {
	device       *device
	rec          *recorder
	plan         Reader
	conversation string // its id; empty for an inbox

	mu     sync.Mutex
	reader history.Reader
	asked  bool     // the first request has been made
	places []place  // where the chain can go on, the newest last
	branch []int    // the steps that are not given up
	base   standing // what it had before its first step
	has    standing // what it has on the branch
	ended  string   // the code that the server ended it with
	moved  int64    // when the newest step was made
	came   int64    // when the newest event came

	draining bool
	drained  int64 // when it was first answered in the drain, 0 for not yet
}

// standing is what a chain has got.
type standing struct {
	at   map[string]int64 // the highest seq, by conversation
	acks map[watermark]history.Receipt
}

func newStanding() standing {
	return standing{at: map[string]int64{}, acks: map[watermark]history.Receipt{}}
}

func (s standing) clone() standing { return standing{at: maps.Clone(s.at), acks: maps.Clone(s.acks)} }

func (s standing) take(step *history.Step) {
	if e := step.Event; e != nil {
		s.at[e.Conversation] = max(s.at[e.Conversation], e.Seq, e.Through)
	}
	if r := step.Receipt; r != nil {
		s.acks[watermark{r.Conversation, r.User}] = *r
	}
}

// watermark names whose receipts in which conversation.
type watermark struct{ conversation, user string }

// place is somewhere a chain can go on from.
type place struct {
	cursor string
	steps  int  // that came before it
	branch int  // how many of them are not given up
	made   bool // by the server; else it is a bare seq of the chain's beginning
}

// newChain begins a chain by its plan.
func newChain(id string, d *device, p Reader, conversation string) *chain {
	c := &chain{
		device: d, rec: d.rec, plan: p, conversation: conversation, base: newStanding(), has: newStanding(),
		reader: history.Reader{
			ID: id, Client: d.name, User: d.account.id, Form: p.Form, Conversation: conversation, Begin: d.rec.now(),
			Start: history.Start{From: p.From},
		},
	}
	if !p.Form.Inbox() {
		c.places = []place{{cursor: "0"}}
	}
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	c.rec.chains = append(c.rec.chains, c)
	return c
}

// fork begins a second chain at the newest place of this one, on another device
// of the same user; nil if it has none that a server made.
func (c *chain) fork(id string, d *device) *chain {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.places) == 0 || !c.places[len(c.places)-1].made || c.ended != "" {
		return nil
	}
	from := c.places[len(c.places)-1]
	p := c.plan
	p.Delay = 0
	p.Legs = append(slices.Clone(p.Legs[1:]), p.Legs[0])
	f := newChain(id, d, p, c.conversation)
	f.reader.Start = history.Start{From: history.FromReader, Reader: c.reader.ID, Steps: from.steps}
	f.places = []place{{cursor: from.cursor, made: true}}
	// Where it stands: at what this chain had got by then.
	f.base = c.base.clone()
	for _, i := range c.branch[:from.branch] {
		f.base.take(&c.reader.Steps[i])
	}
	f.has = f.base.clone()
	return f
}

// ask notes a request that is about to be made at a node, and returns the
// cursor for it; empty for the first connect to an inbox. bare makes it a bare seq.
func (c *chain) ask(node string, bare bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.rec.now()
	if len(c.places) == 0 { // it was never told where it is
		if len(c.reader.Steps) == 0 {
			c.reader.Begin = now
			return ""
		}
		c.reader.Steps = append(c.reader.Steps, history.Step{At: now, Request: &history.Request{Node: node}})
		c.giveUp(place{})
		return ""
	}
	p := c.places[len(c.places)-1]
	cursor := p.cursor
	if bare && !c.plan.Form.Inbox() {
		cursor, _, _ = strings.Cut(cursor, "-")
	}
	made := p.made && cursor == p.cursor && (c.plan.Form.Inbox() || strings.Contains(cursor, "-"))
	if !c.asked {
		c.reader.Begin = now
	}
	if c.asked || c.reader.Start.From == history.FromReader {
		c.reader.Steps = append(c.reader.Steps, history.Step{At: now, Request: &history.Request{Covers: p.steps, Cursor: made, Node: node, Sent: cursor}})
		c.giveUp(p)
	}
	c.asked = true
	return cursor
}

// giveUp takes back what came after a place.
func (c *chain) giveUp(p place) {
	if len(c.branch) == p.branch {
		return
	}
	c.branch = c.branch[:p.branch]
	c.has = c.base.clone()
	for _, i := range c.branch {
		c.has.take(&c.reader.Steps[i])
	}
}

// back goes some places back.
func (c *chain) back(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if keep := max(1, len(c.places)-n); keep < len(c.places) {
		c.places = c.places[:keep]
		c.rec.count(wentBack)
	}
}

func (c *chain) step(s history.Step) {
	s.At = c.rec.now()
	c.moved = s.At
	c.reader.Steps = append(c.reader.Steps, s)
	c.branch = append(c.branch, len(c.reader.Steps)-1)
	c.has.take(&s)
}

// event notes an event that came whole.
func (c *chain) event(e history.Event) {
	if e.Conversation == "" {
		e.Conversation = c.conversation
	}
	if c.rec.older[e.Conversation] {
		return
	}
	c.mu.Lock()
	if e.Type == "hidden" && e.AcceptedAt == "" && (c.plan.Form == history.Text || c.plan.Form == history.InboxText) {
		// A line names only the last seq that it stands for.
		e.Seq, e.Through = min(e.Seq, c.has.at[e.Conversation]+1), e.Seq
	}
	c.step(history.Step{Event: &e})
	c.came = c.moved
	c.mu.Unlock()
	c.device.saw(&e)
}

// receipt notes a receipt that came whole.
func (c *chain) receipt(r history.Receipt) {
	if c.rec.older[r.Conversation] {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step(history.Step{Receipt: &r})
}

// reach notes that the chain can go on from here.
func (c *chain) reach(cursor string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = true
	c.places = append(c.places, place{cursor: cursor, steps: len(c.reader.Steps), branch: len(c.branch), made: true})
}

// snapshot notes the snapshot of a first connect: as a baseline if the chain
// starts from now.
func (c *chain) snapshot(s *wireSnapshot, begin int64, node string) {
	for i := range s.Conversations {
		v := &s.Conversations[i]
		if c.rec.older[v.ID] {
			continue
		}
		c.rec.operation(history.Operation{
			Kind: history.State, Client: c.device.name, User: c.device.account.id, Node: node, Begin: begin, End: c.rec.now(),
			Outcome: history.OK, Status: 200, Conversation: v.ID, State: v.view(),
		})
	}
	if c.plan.From == history.FromNow {
		c.mu.Lock()
		c.reader.Start.Snapshot = map[string]int64{}
		for i := range s.Conversations {
			if v := &s.Conversations[i]; !c.rec.older[v.ID] {
				c.reader.Start.Snapshot[v.ID] = v.LastSeq
				c.base.at[v.ID], c.has.at[v.ID] = v.LastSeq, v.LastSeq
			}
		}
		c.mu.Unlock()
	}
	for i := range s.Receipts {
		c.receipt(s.Receipts[i].history())
	}
}

// answered notes that the server has begun to answer a request of the chain.
func (c *chain) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining && c.drained == 0 {
		c.drained = c.rec.now()
	}
}

// drain says that from now on the chain is followed to its end.
func (c *chain) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.ended == notFound {
		c.ended = "" // its user may have been added again
	}
}

// end notes that the server refused to go on.
func (c *chain) end(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.places) == 0 {
		return // it has never been a chain
	}
	c.ended = code
	c.step(history.Step{Ending: &history.Ending{Code: code}})
}

// ending is the code that the chain was ended with, empty if it goes on.
func (c *chain) ending() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// revive lets a chain that was ended ask once more.
func (c *chain) revive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = ""
}

// progress is when the chain last got something.
func (c *chain) progress() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

// String says which chain it is and where it stands.
func (c *chain) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	where := ""
	if n := len(c.places); n > 0 {
		where = ", at " + c.places[n-1].cursor
	}
	return fmt.Sprintf("reader %s (%s of %s%s)", c.reader.ID, c.plan.Form, c.device.account.handle, where)
}
