package check

import (
	"iter"
	"slices"
	"sort"

	"holdline/internal/torture/history"
)

// checkMoments compares the order of logs, and what fresh reads showed, with
// what was over before what began.
func (c *checker) checkMoments() {
	timelines := make(map[string]*timeline, len(c.order))
	for _, v := range c.order {
		timelines[v.ID] = newTimeline(v)
		c.checkRealTime(v)
	}
	for v, r := range c.freshReads() {
		c.report.Counts.Reads++
		c.checkRead(v, timelines[v.ID], r)
	}
}

// freshRead is an answered operation that showed how far a log had got.
type freshRead struct {
	*history.Operation
	seq  int64
	what string
}

// freshReads gives those of all conversations that the history has a log of.
func (c *checker) freshReads() iter.Seq2[*conversation, freshRead] {
	return func(yield func(*conversation, freshRead) bool) {
		for i := range c.h.Operations {
			o := &c.h.Operations[i]
			v := c.conversations[o.Conversation]
			if v == nil || o.Outcome != history.OK {
				continue
			}
			r := freshRead{o, o.Seq, "a page of the log"}
			switch {
			case o.Kind == history.State && o.State != nil:
				r.seq, r.what = o.State.LastSeq, "the conversation as shown"
			case o.Kind == history.Head && !v.leftAt(o.User, o.Seq):
			default:
				continue
			}
			if !yield(v, r) {
				return
			}
		}
	}
}

// leftAt reports whether user's membership once ended at seq: their log ends
// there, so that a page of it proves nothing about what came later.
func (v *conversation) leftAt(user string, seq int64) bool {
	return slices.ContainsFunc(v.stretches[user], func(s stretch) bool { return s.to == seq })
}

// checkRealTime looks for an entry that was over before one with a lower seq began.
func (c *checker) checkRealTime(v *conversation) {
	earliest, which := int64(never), int64(0) // the first end among the higher seqs
	for seq := v.head; seq >= 1; seq-- {
		e := v.appends[seq]
		if e == nil {
			continue
		}
		if earliest < e.begin {
			later := v.appends[which]
			c.violate(RealTimeOrder, v.ID, e.by, "seq %d was begun at %s by %s, after seq %d of %s was answered or seen at %s", seq, at(e.begin), e.by, which, later.by, at(earliest))
		}
		if e.end < earliest {
			earliest, which = e.end, seq
		}
	}
}

// timeline answers how far a log had certainly got at a time, and how far it
// may have.
type timeline struct {
	proofs  []evidence // each further than all before it, by time
	started []int64    // started[i] is when the last of the seqs 1 to i+1 was begun
}

func newTimeline(v *conversation) *timeline {
	t := &timeline{started: make([]int64, v.head)}
	for _, e := range v.evidence {
		if len(t.proofs) == 0 || e.seq > t.proofs[len(t.proofs)-1].seq {
			t.proofs = append(t.proofs, e)
		}
	}
	var last int64
	for seq := int64(1); seq <= v.head; seq++ {
		if e := v.appends[seq]; e != nil {
			last = max(last, e.begin)
		}
		t.started[seq-1] = last
	}
	return t
}

// checkRead compares a fresh read with what others were shown before.
func (c *checker) checkRead(v *conversation, t *timeline, r freshRead) {
	n := sort.Search(len(t.proofs), func(i int) bool { return t.proofs[i].at >= r.Begin })
	if n > 0 && t.proofs[n-1].seq > r.seq {
		p := t.proofs[n-1]
		c.violate(FreshReads, v.ID, r.Client, "%s, asked for at %s (%s), ended at seq %d; %s had shown seq %d to %s at %s", r.what, at(r.Begin), r.Node, r.seq, p.what, p.seq, p.client, at(p.at))
	}
	switch {
	case r.seq > v.head:
		c.violate(NoReadsAhead, v.ID, r.Client, "%s, answered at %s (%s), names seq %d, and the log ends at %d", r.what, at(r.End), r.Node, r.seq, v.head)
	case r.seq >= 1 && t.started[r.seq-1] > r.End:
		c.violate(NoReadsAhead, v.ID, r.Client, "%s, answered at %s (%s), names seq %d, which was begun only at %s", r.what, at(r.End), r.Node, r.seq, at(t.started[r.seq-1]))
	}
}
