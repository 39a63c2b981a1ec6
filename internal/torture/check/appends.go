package check

import (
	"cmp"
	"slices"

	"holdline/internal/torture/history"
)

// indexAppends finds out between which moments each entry of each log came into
// it: from the answers, from operations of unknown outcome that fit, and from
// whoever saw it first.
func (c *checker) indexAppends() {
	for _, v := range c.order {
		for seq := range v.bySeq {
			v.appends[seq] = &entry{begin: 0, end: never}
		}
		v.placeSends()
	}
	changes := make(map[change][]*history.Operation)
	created := int64(never) // when the first create of unknown outcome began: it may have made any of them
	for i := range c.h.Operations {
		if o := &c.h.Operations[i]; o.Kind == history.Create && o.Outcome == history.Unknown {
			created = min(created, o.Begin)
		}
	}
	for i := range c.h.Operations {
		o := &c.h.Operations[i]
		v := c.conversations[o.Conversation]
		if o.Outcome == history.Refused || v == nil {
			continue
		}
		switch o.Kind {
		case history.Create:
			if o.Outcome == history.OK {
				v.answeredAppend(1, o, min(o.Begin, created), "the creation")
			}
		case history.Add, history.Remove, history.Leave, history.Title:
			for _, e := range o.Events {
				v.answeredAppend(e.Seq, o, o.Begin, "a change of members")
			}
			if o.Outcome == history.OK && o.Kind != history.Title {
				continue
			}
			for _, key := range changesAsked(o) {
				changes[key] = append(changes[key], o)
			}
		}
	}
	for v, r := range c.freshReads() {
		v.proof(evidence{r.End, r.seq, r.what, r.Client})
	}
	for _, v := range c.order {
		v.placeChanges(changes)
	}
	c.firstSeen()
	for _, v := range c.order {
		slices.SortFunc(v.evidence, func(a, b evidence) int { return cmp.Compare(a.at, b.at) })
	}
}

// change identifies what an operation other than a send asks for.
type change struct{ conversation, sender, action, user, title string }

// changesAsked is what an operation other than a send or a creation asks for.
func changesAsked(o *history.Operation) []change {
	if o.Kind == history.Title {
		return []change{{conversation: o.Conversation, sender: o.User, action: action(o.Kind), title: o.Text}}
	}
	asked := make([]change, len(o.Members))
	for i, user := range o.Members {
		asked[i] = change{conversation: o.Conversation, sender: o.User, action: action(o.Kind), user: user}
	}
	return asked
}

// changeBy is the change that an entry of the log records; false for messages,
// for the creation, and for roles, which pass on by themselves.
func (v *conversation) changeBy(e *history.Event) (change, bool) {
	switch {
	case e.Type == "title":
		return change{conversation: v.ID, sender: e.Sender, action: action(history.Title), title: e.Title}, true
	case e.Type == "member" && e.Action != "role":
		return change{conversation: v.ID, sender: e.Sender, action: e.Action, user: e.User}, true
	}
	return change{}, false
}

func action(k history.Kind) string {
	switch k {
	case history.Add:
		return "added"
	case history.Remove:
		return "removed"
	case history.Leave:
		return "left"
	default:
		return "title"
	}
}

// answeredAppend notes that o was answered with seq. The earliest answer counts.
func (v *conversation) answeredAppend(seq int64, o *history.Operation, begin int64, what string) {
	v.proof(evidence{o.End, seq, "the answer to " + what, o.Client})
	e := v.appends[seq]
	if e == nil {
		return
	}
	if e.end == never || begin < e.begin {
		e.begin = begin
	}
	if o.End < e.end {
		e.end, e.by = o.End, o.Client
	}
}

func (v *conversation) proof(e evidence) {
	if e.seq > 0 && e.seq <= v.head { // what is beyond the log is said elsewhere
		v.evidence = append(v.evidence, e)
	}
}

// placeSends gives the messages of the log their sends.
func (v *conversation) placeSends() {
	type content struct{ user, text string }
	open := make(map[content][]*send) // without a certain answer
	for _, s := range v.sends {
		switch {
		case s.answered != nil:
			s.stored = true
			v.answeredAppend(s.answered.Seq, s.answered, s.begin, "a send")
		case !s.refused:
			open[content{s.User, s.Text}] = append(open[content{s.User, s.Text}], s)
		}
	}
	for _, seq := range v.messages {
		e, message := v.appends[seq], v.bySeq[seq]
		candidates := open[content{message.Sender, message.Text}]
		if e.end != never || len(candidates) == 0 {
			continue
		}
		// With equal texts any of them may be the one.
		e.begin = candidates[0].begin
		for _, s := range candidates {
			e.begin = min(e.begin, s.begin)
		}
		i := slices.IndexFunc(candidates, func(s *send) bool { return !s.stored })
		if i >= 0 {
			candidates[i].stored = true
		}
		e.by = candidates[max(i, 0)].Client
	}
}

// placeChanges gives the other entries, where no answer named them, the
// beginning of the operations that could have made them.
func (v *conversation) placeChanges(changes map[change][]*history.Operation) {
	for seq, m := range v.bySeq {
		e := v.appends[seq]
		if e.end != never {
			continue
		}
		key, ok := v.changeBy(m)
		if !ok {
			continue
		}
		for i, o := range changes[key] {
			if i == 0 || o.Begin < e.begin {
				e.begin, e.by = o.Begin, o.Client
			}
		}
	}
}

// firstSeen takes the first sight of each entry as a proof that it was there.
func (c *checker) firstSeen() {
	type sight struct {
		at     int64
		client string
	}
	first := make(map[*conversation]map[int64]sight, len(c.order))
	for i := range c.h.Readers {
		r := &c.h.Readers[i]
		for _, s := range r.Steps {
			if s.Event == nil || s.Event.Type == "hidden" {
				continue
			}
			v := c.conversations[eventConversation(r, s.Event)]
			if v == nil {
				continue
			}
			seen := first[v]
			if seen == nil {
				seen = make(map[int64]sight, len(v.Log))
				first[v] = seen
			}
			if earlier, ok := seen[s.Event.Seq]; !ok || s.At < earlier.at {
				seen[s.Event.Seq] = sight{s.At, r.Client}
			}
		}
	}
	for v, seen := range first {
		for seq, s := range seen {
			v.proof(evidence{s.at, seq, "an event that was seen", s.client})
			if e := v.appends[seq]; e != nil {
				e.end = min(e.end, s.at)
			}
		}
	}
}

// eventConversation is the conversation of an event that r was given: some forms
// of reading do not repeat it.
func eventConversation(r *history.Reader, e *history.Event) string {
	if e.Conversation == "" {
		return r.Conversation
	}
	return e.Conversation
}
