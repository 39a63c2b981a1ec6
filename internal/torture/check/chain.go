package check

import (
	"maps"

	"holdline/internal/torture/history"
)

// chain is where a chain of cursors has got to.
type chain struct {
	root  *history.Reader // where the cursors came from at first
	at    map[string]int64
	begun map[string]bool // conversations that a chain from now has met, or were in its snapshot
	// receipts are the latest by member and conversation.
	receipts map[place]history.Receipt
	// dirty are the conversations whose place was not handed back yet.
	dirty map[string]bool
	// skipped are seqs that were left out and said so, to tell what comes late
	// from what comes twice.
	skipped map[string]map[int64]bool
}

// place is one member's place in one conversation.
type place struct{ user, conversation string }

func newChain(r *history.Reader, v *conversation) *chain {
	s := &chain{
		root: r, at: make(map[string]int64), begun: make(map[string]bool), receipts: make(map[place]history.Receipt),
		dirty: make(map[string]bool), skipped: make(map[string]map[int64]bool),
	}
	if v != nil {
		// Below what they may see there is nothing to miss.
		s.at[v.ID], s.dirty[v.ID] = max(r.Start.After, v.nextVisible(r.User, 0)-1), true
	}
	for id, last := range r.Start.Snapshot {
		s.at[id], s.begun[id], s.dirty[id] = last, true, true
	}
	return s
}

func (s *chain) clone() *chain {
	return &chain{
		root: s.root, at: maps.Clone(s.at), begun: maps.Clone(s.begun), receipts: maps.Clone(s.receipts), dirty: maps.Clone(s.dirty),
		skipped: make(map[string]map[int64]bool),
	}
}

// resumed is a copy for a cursor that was handed back again: for all it covers.
func (s *chain) resumed() *chain {
	next := s.clone()
	for id := range next.at {
		next.dirty[id] = true
	}
	return next
}

func (s *chain) skip(id string, seq int64) {
	if s.skipped[id] == nil {
		s.skipped[id] = make(map[int64]bool)
	}
	if len(s.skipped[id]) < mostMissing {
		s.skipped[id][seq] = true
	}
}

// checkReaders follows all chains, those that others fork from first.
func (c *checker) checkReaders() {
	byID := make(map[string]*history.Reader, len(c.h.Readers))
	keep := make(map[string]map[int]*chain) // the places that forks start from
	for i := range c.h.Readers {
		r := &c.h.Readers[i]
		if byID[r.ID] != nil {
			c.violate(WellRecorded, r.Conversation, r.Client, "the reader %s is there twice", r.ID)
			continue
		}
		byID[r.ID] = r
	}
	for _, r := range byID {
		if r.Start.From == history.FromReader {
			if keep[r.Start.Reader] == nil {
				keep[r.Start.Reader] = make(map[int]*chain)
			}
			keep[r.Start.Reader][r.Start.Steps] = nil
		}
	}
	state := make(map[string]int) // 1: its parent is being followed, 2: done
	var follow func(r *history.Reader)
	follow = func(r *history.Reader) {
		if state[r.ID] != 0 {
			return
		}
		state[r.ID] = 1
		var start *chain
		if r.Start.From == history.FromReader {
			parent := byID[r.Start.Reader]
			if parent != nil {
				follow(parent)
			}
			if parent == nil || state[parent.ID] != 2 || keep[parent.ID][r.Start.Steps] == nil ||
				parent.User != r.User || parent.Conversation != r.Conversation || parent.Form.Inbox() != r.Form.Inbox() {
				c.violate(WellRecorded, r.Conversation, r.Client, "the reader %s cannot have started from step %d of %s", r.ID, r.Start.Steps, r.Start.Reader)
				return
			}
			start = keep[parent.ID][r.Start.Steps].resumed()
		}
		c.follow(r, start, keep[r.ID])
		state[r.ID] = 2
	}
	for i := range c.h.Readers {
		follow(byID[c.h.Readers[i].ID])
	}
}

// follow checks one chain. start is the place it forked from, nil for one of its
// own; keep is filled with copies of the chain at the numbers of steps that are
// its keys.
func (c *checker) follow(r *history.Reader, start *chain, keep map[int]*chain) {
	v := c.conversations[r.Conversation]
	if v == nil && !r.Form.Inbox() {
		c.violate(WellRecorded, r.Conversation, r.Client, "the reader %s reads a conversation that the history has no log of", r.ID)
		return
	}
	if start == nil {
		start = newChain(r, v)
		c.coverAbsences(r)
	}
	c.report.Counts.Readers++
	back := make(map[int]*chain) // where this chain itself comes back to
	for i, step := range r.Steps {
		if step.Request != nil && step.Request.Covers < i {
			back[step.Request.Covers] = nil
		}
	}
	s, since, last := start, r.Begin, r.Begin
	remember := func(steps int) {
		if _, ok := keep[steps]; ok {
			keep[steps] = s.clone()
		}
		if _, ok := back[steps]; ok {
			back[steps] = s.clone()
		}
	}
	for i := range r.Steps {
		remember(i)
		step := &r.Steps[i]
		if step.At < last {
			c.violate(WellRecorded, r.Conversation, r.Client, "step %d of reader %s is at %s, the one before at %s", i, r.ID, at(step.At), at(last))
		}
		last = step.At
		switch {
		case step.Event != nil:
			c.report.Counts.Events++
			c.see(r, s, step.At, step.Event)
		case step.Receipt != nil:
			c.report.Counts.Receipts++
			c.seeReceipt(r, s, step.At, step.Receipt)
		case step.Request != nil:
			if covers := step.Request.Covers; covers > i || covers < 0 {
				c.violate(WellRecorded, r.Conversation, r.Client, "step %d of reader %s covers %d steps", i, r.ID, covers)
			} else if covers < i {
				s = back[covers].resumed()
			}
			since = step.At
			if step.Request.Cursor {
				c.handBack(r, s, step.At)
			}
		case step.Ending != nil:
			c.checkEnding(r, s, since, step)
		}
	}
	remember(len(r.Steps))
	if r.Complete {
		c.report.Counts.Complete++
		c.checkComplete(r, s, v)
	}
	if r.ReceiptsComplete {
		c.checkFinalReceipts(r, s)
	}
}

// handBack notes that a cursor came back: the server may take what it covers as
// delivered.
func (c *checker) handBack(r *history.Reader, s *chain, at int64) {
	for id := range s.dirty {
		c.causes[place{r.User, id}] = append(c.causes[place{r.User, id}], cause{begin: at, end: never, delivered: s.at[id]})
	}
	clear(s.dirty)
}

// coverAbsences notes that a chain from now leaves behind all that came before
// it, in conversations too that its user was not in just then, which are not in
// the snapshot: its cursors stand for that as well.
func (c *checker) coverAbsences(r *history.Reader) {
	if r.Start.From != history.FromNow {
		return
	}
	for _, v := range c.order {
		all := v.stretches[r.User]
		if _, ok := r.Start.Snapshot[v.ID]; !ok && len(all) > 0 {
			p := place{r.User, v.ID}
			c.causes[p] = append(c.causes[p], cause{begin: r.Begin, end: never, delivered: all[len(all)-1].join - 1})
		}
	}
}

// checkEnding judges what ended a chain. since is when its last request began.
func (c *checker) checkEnding(r *history.Reader, s *chain, since int64, step *history.Step) {
	switch step.Ending.Code {
	case "cursor_reset", "invalid":
		for _, epoch := range c.h.Run.Epochs[min(1, len(c.h.Run.Epochs)):] {
			// When exactly the epoch changed is not known, only when that was seen.
			if epoch.At >= s.root.Begin {
				return
			}
		}
		c.violate(NoFalseReset, r.Conversation, r.Client, "reader %s (%s) was told %s at %s, and the epoch has not changed since its chain began at %s",
			r.ID, r.Form, step.Ending.Code, at(step.At), at(s.root.Begin))
	case "not_found", "forbidden":
		v := c.conversations[r.Conversation]
		if v != nil && v.stayed(r.User) < since {
			c.violate(NoFalseEnd, v.ID, r.Client, "reader %s (%s) was told %s at %s, and its user %s was a member all the time",
				r.ID, r.Form, step.Ending.Code, at(step.At), r.User)
		}
	}
}
