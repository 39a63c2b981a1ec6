package check

import (
	"slices"

	"holdline/internal/torture/history"
)

// mostUnread is how far the server counts.
const mostUnread = 10_000

// checkViews checks conversations as their members were shown them. A view is
// one snapshot of the database, so its parts must fit each other exactly: its
// last_seq says which moment it is of.
func (c *checker) checkViews() {
	for i := range c.h.Operations {
		o := &c.h.Operations[i]
		v := c.conversations[o.Conversation]
		if o.Kind != history.State || o.Outcome != history.OK || v == nil || o.State == nil {
			continue
		}
		view := o.State
		if view.LastSeq > v.head {
			continue // checkMoments says so
		}
		in, ok := v.memberAt(o.User, view.LastSeq)
		if !ok {
			c.violate(Membership, v.ID, o.Client, "at %s %s was shown the conversation as of seq %d (%s), where they are no member", at(o.End), o.User, view.LastSeq, o.Node)
			continue
		}
		if first := v.stretches[o.User][0].from; view.FirstSeq != first {
			c.violate(Membership, v.ID, o.Client, "at %s %s was told first_seq %d (%s), and may read from seq %d", at(o.End), o.User, view.FirstSeq, o.Node, first)
		}
		want := v.unread(o.User, max(view.ReadSeq, in.from-1), view.LastSeq)
		if want != view.Unread {
			c.violate(Unread, v.ID, o.Client, "at %s %s was told unread %d with read_seq %d and last_seq %d (%s); others' messages between them are %d", at(o.End), o.User,
				view.Unread, view.ReadSeq, view.LastSeq, o.Node, want)
		}
	}
}

// memberAt is the stretch in which user is a member when the log ends at head.
func (v *conversation) memberAt(user string, head int64) (stretch, bool) {
	for _, s := range v.stretches[user] {
		if s.join <= head && head < s.to {
			return s, true
		}
	}
	return stretch{}, false
}

// unread counts the messages of others above after, up to head.
func (v *conversation) unread(user string, after, head int64) int64 {
	return min(mostUnread, countBetween(v.messages, after, head)-countBetween(v.own[user], after, head))
}

// countBetween counts the rising seqs above after, up to head.
func countBetween(seqs []int64, after, head int64) int64 {
	from, _ := slices.BinarySearch(seqs, after+1)
	to, _ := slices.BinarySearch(seqs, head+1)
	return int64(max(0, to-from))
}
