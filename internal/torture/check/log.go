package check

import (
	"maps"
	"slices"

	"holdline/internal/torture/history"
)

// checkLogs looks at each log by itself.
func (c *checker) checkLogs() {
	for _, v := range c.order {
		if len(v.Log) == 0 {
			c.violate(Gapless, v.ID, "", "the log is empty")
			continue
		}
		if v.Log[0].Type != "created" {
			c.violate(Gapless, v.ID, "", "the log begins with %s instead of created", describe(&v.Log[0]))
		}
		for i := range v.Log {
			e := &v.Log[i]
			if want := int64(i) + 1; e.Seq != want {
				c.violate(Gapless, v.ID, "", "entry %d of the log has seq %d", want, e.Seq)
				break
			}
			if i > 0 && e.AcceptedAt < v.Log[i-1].AcceptedAt {
				c.violate(TimeNeverFalls, v.ID, "", "seq %d was accepted at %s, the one before it at %s", e.Seq, e.AcceptedAt, v.Log[i-1].AcceptedAt)
			}
			if e.Type == "hidden" {
				c.violate(WellRecorded, v.ID, "", "seq %d is hidden from %s, who read the log", e.Seq, v.Reader)
			}
		}
	}
}

// checkSends holds each send against its log, and each message against the sends.
func (c *checker) checkSends() {
	for _, v := range c.order {
		copies := make(map[[2]string]*count)
		of := func(user, text string) *count {
			n := copies[[2]string{user, text}]
			if n == nil {
				n = &count{}
				copies[[2]string{user, text}] = n
			}
			return n
		}
		for _, seq := range v.messages {
			e := v.bySeq[seq]
			n := of(e.Sender, e.Text)
			n.logged = append(n.logged, seq)
		}
		clientIDs, taken := make(map[[2]string]*send), make(map[int64]*send)
		for _, s := range v.sends {
			n := of(s.User, s.Text)
			n.last = s
			c.checkSend(v, s)
			if !s.refused {
				n.possible++
			}
			if s.answered == nil {
				continue
			}
			if other := taken[s.answered.Seq]; other != nil {
				c.violate(Once, v.ID, s.Client, "seq %d was the answer to client_id %q of %s and to client_id %q of %s", s.answered.Seq,
					other.ClientID, other.User, s.ClientID, s.User)
			}
			taken[s.answered.Seq] = s
			key := [2]string{s.User, s.ClientID}
			if other := clientIDs[key]; other != nil {
				c.violate(Once, v.ID, s.Client, "client_id %q was accepted at seq %d with the text %q and at seq %d with %q", s.ClientID,
					other.answered.Seq, other.Text, s.answered.Seq, s.Text)
			}
			clientIDs[key] = s
		}
		for key, n := range copies {
			c.checkCopies(v, key[0], key[1], n)
		}
	}
}

// count is how often a text is there from one sender, and may be.
type count struct {
	logged   []int64
	possible int
	last     *send
}

func (c *checker) checkCopies(v *conversation, user, text string, n *count) {
	switch {
	case len(n.logged) <= n.possible:
		// Too few are found by the answers, which name a seq.
	case n.last == nil:
		c.violate(NothingInvented, v.ID, "", "%s of %s with the text %q was sent by no client", seqs(n.logged), user, text)
	case n.possible == 0:
		c.violate(RefusedIsNotStored, v.ID, n.last.Client, "the send of %q (client_id %q) was refused every time, last with %d %s, and is in the log: %s",
			text, n.last.ClientID, n.last.attempts[len(n.last.attempts)-1].Status, n.last.attempts[len(n.last.attempts)-1].Code, seqs(n.logged))
	default:
		c.violate(Once, v.ID, n.last.Client, "%q (client_id %q) was sent as %d message and is in the log %d times: %s",
			text, n.last.ClientID, n.possible, len(n.logged), seqs(n.logged))
	}
}

// checkSend looks at the answers to one send.
func (c *checker) checkSend(v *conversation, s *send) {
	counts := &c.report.Counts
	counts.Sends++
	switch {
	case s.refused:
		counts.Refused++
		return
	case s.answered == nil && s.stored:
		counts.UnknownStored++
		return
	case s.answered == nil:
		counts.UnknownLost++
		return
	}
	counts.Accepted++
	a := s.answered
	for _, o := range s.attempts {
		if o.Outcome == history.OK && (o.Seq != a.Seq || o.AcceptedAt != a.AcceptedAt) {
			c.violate(Once, v.ID, o.Client, "client_id %q was answered with seq %d, accepted at %s, and with seq %d, accepted at %s", s.ClientID,
				a.Seq, a.AcceptedAt, o.Seq, o.AcceptedAt)
		}
	}
	want := history.Event{Seq: a.Seq, Type: "message", Sender: s.User, Text: s.Text, ReplyTo: s.ReplyTo, AcceptedAt: a.AcceptedAt}
	got := v.bySeq[a.Seq]
	if got == nil {
		c.violate(Durable, v.ID, s.Client, "client_id %q was answered %d with seq %d at %s (%s), and the log ends at %d without it", s.ClientID, a.Status,
			a.Seq, at(a.End), a.Node, v.head)
	} else if wrong := differs(&want, got, false); wrong != "" {
		c.violate(Durable, v.ID, s.Client, "client_id %q was answered %d with seq %d at %s (%s), and the log has there %s: %s", s.ClientID, a.Status,
			a.Seq, at(a.End), a.Node, describe(got), wrong)
	}
}

// checkMembers holds the changes of membership and the final lists of members
// against the logs.
func (c *checker) checkMembers() {
	asked := c.checkAnsweredChanges()
	for _, v := range c.order {
		for i := range v.Log {
			e := &v.Log[i]
			if _, ok := v.memberAt(e.Sender, e.Seq-1); !ok && e.Type != "created" {
				c.violate(Membership, v.ID, "", "%s, and %s was no member then", describe(e), e.Sender)
			}
			key, ok := v.changeBy(e)
			if !ok {
				continue
			}
			if asked[key]--; asked[key] < 0 {
				c.violate(NothingInvented, v.ID, "", "nobody asked for %s, or not so often", describe(e))
			}
		}
		c.checkMemberList(v)
	}
}

// checkAnsweredChanges holds the answers against the logs and returns how often
// each change was asked for and not certainly refused.
func (c *checker) checkAnsweredChanges() map[change]int {
	asked := make(map[change]int)
	for i := range c.h.Operations {
		o := &c.h.Operations[i]
		v := c.conversations[o.Conversation]
		switch o.Kind {
		case history.Create:
			if o.Outcome == history.OK && v == nil {
				c.violate(WellRecorded, o.Conversation, o.Client, "the conversation was created, but the history has no log of it")
			}
			continue
		case history.Title, history.Add, history.Remove, history.Leave:
		default:
			continue
		}
		if o.Outcome == history.Refused || v == nil {
			continue
		}
		for _, key := range changesAsked(o) {
			asked[key]++
		}
		for j := range o.Events {
			want := &o.Events[j]
			got := v.bySeq[want.Seq]
			if got == nil {
				c.violate(Durable, v.ID, o.Client, "%s was answered at %s (%s), and the log has no such seq", describe(want), at(o.End), o.Node)
			} else if wrong := differs(want, got, false); wrong != "" {
				c.violate(Durable, v.ID, o.Client, "%s was answered at %s (%s), and the log has there %s: %s", describe(want), at(o.End), o.Node, describe(got), wrong)
			}
		}
	}
	return asked
}

// checkMemberList compares the final list of members with what the log says.
func (c *checker) checkMemberList(v *conversation) {
	for _, text := range v.odd {
		c.violate(Membership, v.ID, "", "%s", text)
	}
	if v.Members == nil {
		return
	}
	listed := make(map[string]bool, len(v.Members))
	for _, m := range v.Members {
		listed[m.User] = true
		all := v.stretches[m.User]
		if !v.member(m.User) {
			c.violate(Membership, v.ID, "", "%s is in the list of members; by the log they are none", m.User)
		} else if join := all[len(all)-1].join; join != m.FromSeq {
			c.violate(Membership, v.ID, "", "%s is listed as a member from seq %d; by the log they joined at %d", m.User, m.FromSeq, join)
		}
	}
	for _, user := range slices.Sorted(maps.Keys(v.stretches)) {
		if v.member(user) && !listed[user] {
			c.violate(Membership, v.ID, "", "%s is a member by the log and not in the list of members", user)
		}
	}
}
