package check

import (
	"cmp"
	"math"
	"slices"

	"holdline/internal/torture/history"
)

const never = math.MaxInt64

// conversation is one conversation with what is derived from its log.
type conversation struct {
	*history.Conversation
	bySeq     map[int64]*history.Event
	head      int64
	stretches map[string][]stretch // by user id, in order
	// messages are the seqs of all messages, own those of one sender; both rise.
	messages []int64
	own      map[string][]int64
	appends  map[int64]*entry
	sends    []*send
	evidence []evidence
	odd      []string // changes of membership that change nothing
}

// stretch is one time that a user was a member: they joined at join, and may
// see what lies between from and to, which with history "all" begins before
// that. to is never for those who still are members.
type stretch struct{ from, join, to int64 }

// entry is what is known of the moment in which the log got one of its entries:
// after begin, before end. Zero and never where nobody knows.
type entry struct {
	begin, end int64
	by         string // the client that asked for it, empty if unknown
}

// evidence is a proof that the log had reached seq at a time.
type evidence struct {
	at, seq int64
	what    string // "the answer to a send", …
	client  string
}

// send is one message that a client wanted sent, however often it tried.
type send struct {
	*history.Operation                      // the first attempt
	attempts           []*history.Operation // in the order of their beginning
	answered           *history.Operation   // the OK attempt that ended first, nil if none
	begin              int64                // of the first attempt that was not refused
	refused            bool                 // all attempts were
	stored             bool                 // found in the log
}

func (c *checker) index() {
	c.users = make(map[string]*history.User, len(c.h.Users))
	for i := range c.h.Users {
		c.users[c.h.Users[i].ID] = &c.h.Users[i]
	}
	c.conversations = make(map[string]*conversation, len(c.h.Conversations))
	c.causes = make(map[place][]cause)
	for i := range c.h.Conversations {
		v := newConversation(&c.h.Conversations[i])
		if c.conversations[v.ID] != nil {
			c.violate(WellRecorded, v.ID, "", "the conversation is there twice")
			continue
		}
		c.conversations[v.ID] = v
		c.order = append(c.order, v)
		c.report.Counts.Logged += len(v.Log)
	}
	c.indexSends()
	c.indexAppends()
}

func newConversation(h *history.Conversation) *conversation {
	v := &conversation{
		Conversation: h, bySeq: make(map[int64]*history.Event, len(h.Log)), stretches: make(map[string][]stretch),
		own: make(map[string][]int64), appends: make(map[int64]*entry, len(h.Log)),
	}
	for i := range h.Log {
		e := &h.Log[i]
		if v.bySeq[e.Seq] != nil {
			continue // checkLogs says so
		}
		v.bySeq[e.Seq] = e
		v.head = max(v.head, e.Seq)
		switch e.Type {
		case "message":
			v.messages = append(v.messages, e.Seq)
			v.own[e.Sender] = append(v.own[e.Sender], e.Seq)
		case "created":
			for _, user := range e.Members {
				v.stretches[user] = []stretch{{e.Seq, e.Seq, never}}
			}
		case "member":
			v.move(e)
		}
	}
	return v
}

// move begins or ends a stretch of membership.
func (v *conversation) move(e *history.Event) {
	all := v.stretches[e.User]
	current := len(all) > 0 && all[len(all)-1].to == never
	switch e.Action {
	case "added":
		if current {
			v.odd = append(v.odd, describe(e)+", who was a member already")
			return
		}
		from := e.Seq
		if v.History == "all" {
			from = 1
			if len(all) > 0 {
				from = all[len(all)-1].to + 1
			}
		}
		v.stretches[e.User] = append(all, stretch{from, e.Seq, never})
	case "removed", "left":
		if !current {
			v.odd = append(v.odd, describe(e)+", who was no member")
			return
		}
		all[len(all)-1].to = e.Seq
	}
}

// stretchAt is the stretch of user that seq lies in.
func (v *conversation) stretchAt(user string, seq int64) (stretch, bool) {
	for _, s := range v.stretches[user] {
		if s.from <= seq && seq <= s.to {
			return s, true
		}
	}
	return stretch{}, false
}

// nextVisible is the lowest seq above after that user may see and the log
// holds; 0 if there is none.
func (v *conversation) nextVisible(user string, after int64) int64 {
	for _, s := range v.stretches[user] {
		if next := max(s.from, after+1); next <= min(s.to, v.head) {
			return next
		}
	}
	return 0
}

// lastVisible is the highest seq that user may see, 0 if there is none.
func (v *conversation) lastVisible(user string) int64 {
	all := v.stretches[user]
	if len(all) == 0 {
		return 0
	}
	return min(all[len(all)-1].to, v.head)
}

// member reports whether user is a member at the end.
func (v *conversation) member(user string) bool {
	all := v.stretches[user]
	return len(all) > 0 && all[len(all)-1].to == never
}

// stayed returns the time by which user was a member for certain and from when
// on they stayed one; never if they did not, or were away in between.
func (v *conversation) stayed(user string) int64 {
	all := v.stretches[user]
	if len(all) != 1 || all[0].to != never {
		return never
	}
	if e := v.appends[all[0].join]; e != nil {
		return e.end
	}
	return never
}

// memberCount is the number of members at the end.
func (v *conversation) memberCount() int {
	n := 0
	for user := range v.stretches {
		if v.member(user) {
			n++
		}
	}
	return n
}

// sendKey identifies a send in its conversation. The text is part of it: a
// client_id reused for another text is another send, which must be refused.
type sendKey struct{ conversation, user, clientID, text string }

// indexSends joins the attempts of each send.
func (c *checker) indexSends() {
	byKey := make(map[sendKey]*send)
	var all []*send
	for i := range c.h.Operations {
		o := &c.h.Operations[i]
		if o.Kind != history.Send {
			continue
		}
		key := sendKey{o.Conversation, o.User, o.ClientID, o.Text}
		s := byKey[key]
		if s == nil {
			s = &send{Operation: o, begin: never, refused: true}
			byKey[key] = s
			all = append(all, s)
		}
		s.attempts = append(s.attempts, o)
		if o.Outcome == history.OK && (s.answered == nil || o.End < s.answered.End) {
			s.answered = o
		}
		if o.Outcome != history.Refused {
			s.refused = false
			s.begin = min(s.begin, o.Begin)
		}
	}
	for _, s := range all {
		slices.SortStableFunc(s.attempts, func(a, b *history.Operation) int { return cmp.Compare(a.Begin, b.Begin) })
		v := c.conversations[s.Conversation]
		if v == nil {
			if s.answered != nil {
				c.violate(WellRecorded, s.Conversation, s.Client, "a send was answered here, but the history has no log of it")
			}
			continue
		}
		v.sends = append(v.sends, s)
	}
}
