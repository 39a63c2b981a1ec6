package check

import "holdline/internal/torture/history"

// see checks one event that came along a chain, and moves on.
func (c *checker) see(r *history.Reader, s *chain, when int64, e *history.Event) {
	id := eventConversation(r, e)
	v := c.conversations[id]
	if v == nil {
		c.violate(SeenAsStored, id, r.Client, "reader %s was given %s of a conversation that the history has no log of", r.ID, describe(e))
		return
	}
	if !r.Form.Inbox() && id != r.Conversation {
		c.violate(SeenAsStored, id, r.Client, "reader %s of conversation %s was given %s", r.ID, r.Conversation, describe(e))
		return
	}
	if len(v.stretches[r.User]) == 0 {
		c.violate(SeenByMembers, id, r.Client, "reader %s was given %s, and its user %s was never a member", r.ID, describe(e), r.User)
		return
	}
	last := e.Seq
	if e.Type == "hidden" {
		last = max(last, e.Through)
		if !c.seeHidden(v, r, e, last) {
			return
		}
	} else if !c.seeStored(v, r, when, e) {
		return
	}
	c.advance(v, r, s, e, last)
}

// seeHidden reports whether hidden stands for what its reader must not see alone.
func (c *checker) seeHidden(v *conversation, r *history.Reader, e *history.Event, last int64) bool {
	if next := v.nextVisible(r.User, e.Seq-1); (next != 0 && next <= last) || last > v.head {
		c.violate(SeenByMembers, v.ID, r.Client, "reader %s was given %s, and may see seq %d (the log ends at %d)", r.ID, describe(e), next, v.head)
		return false
	}
	return true
}

// seeStored holds an event against the log, and reports whether its place is
// worth following.
func (c *checker) seeStored(v *conversation, r *history.Reader, when int64, e *history.Event) bool {
	stored := v.bySeq[e.Seq]
	if stored == nil {
		c.violate(SeenAsStored, v.ID, r.Client, "reader %s was given %s at %s, and the log ends at %d", r.ID, describe(e), at(when), v.head)
		return false
	}
	form := r.Form == history.Text || r.Form == history.InboxText
	if wrong := differs(stored, e, form); wrong != "" {
		c.violate(SeenAsStored, v.ID, r.Client, "reader %s was given %s at %s, and the log has there %s: %s", r.ID, describe(e), at(when), describe(stored), wrong)
	}
	if e.ClientID != "" && e.Sender != r.User {
		c.violate(SeenByMembers, v.ID, r.Client, "reader %s of user %s was shown client_id %q in %s", r.ID, r.User, e.ClientID, describe(e))
	}
	if _, ok := v.stretchAt(r.User, e.Seq); !ok {
		what := "before their joining"
		if e.Seq > v.stretches[r.User][0].to {
			what = "after their removal"
		}
		c.violate(SeenByMembers, v.ID, r.Client, "reader %s was given %s at %s, which is not for its user %s: it came %s", r.ID, describe(e), at(when), r.User, what)
		return false
	}
	if by := v.appends[e.Seq]; by.begin > when {
		c.violate(SeenAfterSent, v.ID, r.Client, "reader %s was given %s at %s, and %s began to send it at %s", r.ID, describe(e), at(when), by.by, at(by.begin))
	}
	return true
}

// advance checks that e, which ends at seq last, is what comes next.
func (c *checker) advance(v *conversation, r *history.Reader, s *chain, e *history.Event, last int64) {
	place, known := s.at[v.ID]
	fromNow := s.root.Start.From == history.FromNow
	if snapshot, ok := s.root.Start.Snapshot[v.ID]; fromNow && ok && e.Seq <= snapshot {
		if last <= snapshot {
			return // the snapshot showed it already
		}
	} else if known && e.Seq <= place {
		p, what := SeenOnce, "again"
		if s.skipped[v.ID][e.Seq] {
			p, what = SeenInOrder, "late"
			delete(s.skipped[v.ID], e.Seq)
		}
		c.violate(p, v.ID, r.Client, "reader %s (%s) was given %s %s, when it was at seq %d", r.ID, r.Form, describe(e), what, place)
		return
	}
	s.at[v.ID], s.dirty[v.ID] = last, true
	if fromNow && !s.begun[v.ID] {
		s.begun[v.ID] = true
		// Its user joined after the snapshot, or had left before it: then the end
		// of that time may still come.
		if in, ok := v.stretchAt(r.User, e.Seq); ok && in.to == never && e.Seq > in.join {
			c.violate(SeenWhole, v.ID, r.Client, "reader %s (%s) was given %s first, and its user joined at seq %d", r.ID, r.Form, describe(e), in.join)
		}
		return
	}
	if missing := v.missing(r, place, e.Seq); missing != nil {
		for _, seq := range missing {
			s.skip(v.ID, seq)
		}
		c.violate(SeenWhole, v.ID, r.Client, "reader %s (%s) was given %s when it was at seq %d; left out: %s", r.ID, r.Form, describe(e), place, seqs(missing))
	}
}

// mostMissing bounds the seqs that are remembered of one gap, and of one chain.
const mostMissing = 10_000

// missing lists what should have come between the seqs after and next: all that
// the reader's user may see. On one conversation nothing may be passed over
// without a hidden event. In an inbox a time of membership begins with the
// joining at the latest: of what was said before it and may be seen too, an
// inbox gives what came after its cursor.
func (v *conversation) missing(r *history.Reader, after, next int64) []int64 {
	if next == after+1 {
		return nil
	}
	if !r.Form.Inbox() {
		return between(after, next)
	}
	if in, ok := v.stretchAt(r.User, next); ok && next <= in.join && after < in.from {
		next = in.from
	}
	var all []int64
	for seq := v.nextVisible(r.User, after); seq != 0 && seq < next; seq = v.nextVisible(r.User, seq) {
		if all = append(all, seq); len(all) == mostMissing {
			break
		}
	}
	return all
}

func between(after, next int64) []int64 {
	var all []int64
	for seq := after + 1; seq < next && len(all) < mostMissing; seq++ {
		all = append(all, seq)
	}
	return all
}

// checkComplete looks at where a chain that was followed to the end has got to.
func (c *checker) checkComplete(r *history.Reader, s *chain, v *conversation) {
	if v != nil {
		c.checkEnd(v, r, s)
		return
	}
	for _, v := range c.order {
		all := v.stretches[r.User]
		if len(all) == 0 {
			continue
		}
		if s.root.Start.From == history.FromNow && !s.begun[v.ID] {
			if v.member(r.User) {
				c.violate(SeenWhole, v.ID, r.Client, "reader %s (%s) was followed to the end and has nothing of this conversation, where its user is a member since seq %d",
					r.ID, r.Form, all[len(all)-1].join)
			}
			continue
		}
		c.checkEnd(v, r, s)
	}
}

func (c *checker) checkEnd(v *conversation, r *history.Reader, s *chain) {
	place, end := s.at[v.ID], v.lastVisible(r.User)
	if place >= end {
		return
	}
	what := "the head"
	if !v.member(r.User) {
		what = "its user's removal"
	}
	c.violate(SeenWhole, v.ID, r.Client, "reader %s (%s) was followed to the end, which is %s, seq %d, and is at seq %d; left out: %s", r.ID, r.Form, what, end, place,
		seqs(v.missing(r, place, end+1)))
}
