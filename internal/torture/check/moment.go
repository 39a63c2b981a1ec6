package check

import (
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
	for i := range c.h.Operations {
		o := &c.h.Operations[i]
		v := c.conversations[o.Conversation]
		if v == nil || o.Outcome != history.OK {
			continue
		}
		seq, what := o.Seq, "a page of the log"
		switch {
		case o.Kind == history.State && o.State != nil:
			seq, what = o.State.LastSeq, "the conversation as shown"
		case o.Kind == history.Head:
		default:
			continue
		}
		c.report.Counts.Reads++
		c.checkRead(v, timelines[v.ID], o, seq, what)
	}
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

// checkRead checks a read that showed the log up to seq.
func (c *checker) checkRead(v *conversation, t *timeline, o *history.Operation, seq int64, what string) {
	n := sort.Search(len(t.proofs), func(i int) bool { return t.proofs[i].at >= o.Begin })
	if n > 0 && t.proofs[n-1].seq > seq {
		p := t.proofs[n-1]
		c.violate(FreshReads, v.ID, o.Client, "%s, asked for at %s (%s), ended at seq %d; %s had shown seq %d to %s at %s", what, at(o.Begin), o.Node, seq, p.what, p.seq, p.client, at(p.at))
	}
	switch {
	case seq > v.head:
		c.violate(NoReadsAhead, v.ID, o.Client, "%s, answered at %s (%s), names seq %d, and the log ends at %d", what, at(o.End), o.Node, seq, v.head)
	case seq >= 1 && t.started[seq-1] > o.End:
		c.violate(NoReadsAhead, v.ID, o.Client, "%s, answered at %s (%s), names seq %d, which was begun only at %s", what, at(o.End), o.Node, seq, at(t.started[seq-1]))
	}
}
