package check

import (
	"cmp"
	"slices"
	"sort"

	"holdline/internal/torture/history"
)

// cause is something that may move a member's watermarks: an ack, or a cursor
// that was handed back.
type cause struct {
	begin, end      int64 // end is never if no answer says that it was done
	delivered, read int64
}

// seenReceipt is a receipt that somebody was shown.
type seenReceipt struct {
	at        int64
	place     place
	delivered int64
	read      int64
	client    string
	where     string
}

// seeReceipt checks one receipt that came along a chain.
func (c *checker) seeReceipt(r *history.Reader, s *chain, when int64, got *history.Receipt) {
	v := c.conversations[got.Conversation]
	p := place{got.User, got.Conversation}
	switch {
	case v == nil:
		c.violate(ReceiptsWithinLog, got.Conversation, r.Client, "reader %s was given a receipt of %s in a conversation that the history has no log of", r.ID, got.User)
		return
	case len(v.stretches[r.User]) == 0:
		c.violate(SeenByMembers, v.ID, r.Client, "reader %s was given a receipt, and its user %s was never a member", r.ID, r.User)
		return
	}
	before := s.receipts[p]
	if got.Delivered < before.Delivered || (got.Read < before.Read && !c.receiptsOff(got.User)) {
		c.violate(ReceiptsForward, v.ID, r.Client, "reader %s was told at %s that %s got %d and read %d, after it was told %d and %d", r.ID, at(when), got.User,
			got.Delivered, got.Read, before.Delivered, before.Read)
	}
	s.receipts[p] = *got
	c.seenReceipts = append(c.seenReceipts, seenReceipt{when, p, got.Delivered, got.Read, r.Client, "reader " + r.ID})
}

func (c *checker) receiptsOff(user string) bool {
	u := c.users[user]
	return u != nil && u.ReceiptsOff
}

// checkFinalReceipts compares what a chain was told last with the final watermarks.
func (c *checker) checkFinalReceipts(r *history.Reader, s *chain) {
	for _, v := range c.order {
		all := v.stretches[r.User]
		// Above 256 members receipts are counts.
		if !v.member(r.User) || v.memberCount() > 256 {
			continue
		}
		joined := all[len(all)-1].join
		for _, final := range v.Receipts {
			if final.User == r.User {
				continue
			}
			got := s.receipts[place{final.User, v.ID}]
			// What did not move since the joining need not be told.
			short := got.Delivered < final.Delivered && final.Delivered >= joined
			if !c.receiptsOff(final.User) {
				short = short || got.Read < final.Read && final.Read >= joined
			}
			if short || got.Delivered > final.Delivered || got.Read > final.Read {
				c.violate(ReceiptsWhole, v.ID, r.Client, "reader %s (%s) was told last that %s got %d and read %d; in the end they got %d and read %d", r.ID, r.Form,
					final.User, got.Delivered, got.Read, final.Delivered, final.Read)
			}
		}
	}
}

// checkReceipts holds what was shown of receipts against what was acked.
func (c *checker) checkReceipts() {
	for i := range c.h.Operations {
		o := &c.h.Operations[i]
		switch {
		case o.Kind == history.Ack && o.Outcome != history.Refused:
			c.causedBy(o)
		case o.Kind == history.Receipts && o.Outcome == history.OK:
			for _, r := range o.Receipts {
				c.seenReceipts = append(c.seenReceipts, seenReceipt{o.End, place{r.User, o.Conversation}, r.Delivered, r.Read, o.Client, "the list of receipts"})
			}
		}
	}
	ahead := make(map[place]limits, len(c.causes))
	for p, all := range c.causes {
		slices.SortFunc(all, func(a, b cause) int { return cmp.Compare(a.begin, b.begin) })
		ahead[p] = limitsOf(all)
	}
	for i := range c.seenReceipts {
		c.checkSeenReceipt(&c.seenReceipts[i], ahead[c.seenReceipts[i].place])
	}
	for _, v := range c.order {
		for _, r := range v.Receipts {
			c.checkSeenReceipt(&seenReceipt{never, place{r.User, v.ID}, r.Delivered, r.Read, "", "the final watermarks"}, ahead[place{r.User, v.ID}])
			c.checkNotForgotten(v, r.User, never, r.Delivered, r.Read, "", "the final watermarks")
		}
	}
	for i := range c.h.Operations {
		o := &c.h.Operations[i]
		v := c.conversations[o.Conversation]
		if v == nil || o.Outcome != history.OK {
			continue
		}
		switch {
		case o.Kind == history.State && o.State != nil:
			c.checkSeenReceipt(&seenReceipt{o.End, place{o.User, v.ID}, o.State.DeliveredSeq, o.State.ReadSeq, o.Client, "one's own view"}, ahead[place{o.User, v.ID}])
			c.checkNotForgotten(v, o.User, o.Begin, o.State.DeliveredSeq, o.State.ReadSeq, o.Client, "one's own view")
		case o.Kind == history.Receipts:
			for _, r := range o.Receipts {
				c.checkListed(v, o, r)
			}
		}
	}
}

// causedBy notes what an ack may move: nothing beyond the end of a log, even if
// the refusal of that did not arrive.
func (c *checker) causedBy(o *history.Operation) {
	end := int64(never)
	if o.Outcome == history.OK {
		end = o.End
	}
	note := func(id string, delivered, read int64) {
		if v := c.conversations[id]; v != nil && delivered <= v.head {
			p := place{o.User, id}
			c.causes[p] = append(c.causes[p], cause{begin: o.Begin, end: end, delivered: delivered, read: read})
		}
	}
	for id, seq := range o.Delivered {
		note(id, seq, 0)
	}
	for id, seq := range o.Read {
		note(id, seq, seq)
	}
}

// limits are how far the causes of one place, in the order of their beginning,
// can have moved it.
type limits struct {
	causes          []cause
	delivered, read []int64 // the highest up to each
}

func limitsOf(all []cause) limits {
	l := limits{causes: all, delivered: make([]int64, len(all)), read: make([]int64, len(all))}
	var delivered, read int64
	for i, c := range all {
		delivered, read = max(delivered, c.delivered), max(read, c.read)
		l.delivered[i], l.read[i] = delivered, read
	}
	return l
}

// by returns how far they can have moved it by the time t.
func (l limits) by(t int64) (delivered, read int64) {
	n := sort.Search(len(l.causes), func(i int) bool { return l.causes[i].begin > t })
	if n == 0 {
		return 0, 0
	}
	return l.delivered[n-1], l.read[n-1]
}

func (c *checker) checkSeenReceipt(s *seenReceipt, l limits) {
	v := c.conversations[s.place.conversation]
	if v == nil {
		return
	}
	if s.delivered > v.head || s.read > v.head {
		c.violate(ReceiptsWithinLog, v.ID, s.client, "%s said that %s got %d and read %d, and the log ends at %d", s.where, s.place.user, s.delivered, s.read, v.head)
	}
	if s.read > s.delivered {
		c.violate(ReceiptsForward, v.ID, s.client, "%s said that %s read %d and got only %d", s.where, s.place.user, s.read, s.delivered)
	}
	delivered, read := l.by(s.at)
	when := "in the end"
	if s.at != never {
		when = "at " + at(s.at)
	}
	// A cursor may also stand behind what its user cannot see.
	if next := v.nextVisible(s.place.user, delivered); s.delivered > delivered && next != 0 && s.delivered >= next {
		c.violate(ReceiptsAfterFact, v.ID, s.client, "%s said %s that %s got %d; by then they had acked or handed back no more than %d", s.where, when, s.place.user, s.delivered, delivered)
	}
	if s.read > read {
		c.violate(ReceiptsAfterFact, v.ID, s.client, "%s said %s that %s read %d; by then they had acked no more than %d as read", s.where, when, s.place.user, s.read, read)
	}
}

// checkNotForgotten checks that acks which were answered before the time t are
// in what was shown after it. Acks of somebody who is no member are ignored, so
// only those of people who stayed are looked at.
func (c *checker) checkNotForgotten(v *conversation, user string, t, delivered, read int64, client, where string) {
	since := v.stayed(user)
	for _, a := range c.causes[place{user, v.ID}] {
		if a.begin > t {
			break
		}
		if a.end >= t || a.begin <= since {
			continue
		}
		if a.delivered > delivered || a.read > read {
			c.violate(ReceiptsWhole, v.ID, client, "%s said of %s that they got %d and read %d, and an ack of %d and %d had been answered at %s", where, user,
				delivered, read, a.delivered, a.read, at(a.end))
			return
		}
	}
}

// checkListed checks one entry of the receipts of one message: each is there
// once somebody who stayed a member had acked it.
func (c *checker) checkListed(v *conversation, o *history.Operation, r history.Receipt) {
	delivered, read := r.Delivered, r.Read
	if c.receiptsOff(r.User) {
		read = never
	}
	if delivered >= o.Seq {
		delivered = never // so far or further
	}
	if read >= o.Seq {
		read = never
	}
	for _, a := range c.causes[place{r.User, v.ID}] {
		if a.begin > o.Begin {
			break
		}
		if a.end < o.Begin && a.begin > v.stayed(r.User) && (a.delivered >= o.Seq && delivered != never || a.read >= o.Seq && read != never) {
			c.violate(ReceiptsWhole, v.ID, o.Client, "the receipts of seq %d lack those of %s, who had acked %d as delivered and %d as read, answered at %s", o.Seq, r.User,
				a.delivered, a.read, at(a.end))
			return
		}
	}
}
