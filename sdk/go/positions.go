package holdline

// positions are up to where each conversation's log is complete, as far as that is known.
type positions map[string]int64

// verdict is what an event is to a reader.
type verdict int

const (
	next   verdict = iota // what comes next, or the first that is known of its conversation
	repeat                // had already
	beyond                // something is missing before it
)

// through is the last seq that an event stands for.
func through(e *Event) int64 { return max(e.Seq, e.ThroughSeq) }

func (p positions) judge(e *Event) verdict {
	at, known := p[e.ConversationId]
	switch {
	case known && through(e) <= at:
		return repeat
	case known && e.Seq > at+1:
		return beyond
	default:
		return next
	}
}

// reach notes that a conversation is complete to seq; it never goes back.
func (p positions) reach(conversation string, seq int64) {
	if at, known := p[conversation]; !known || seq > at {
		p[conversation] = seq
	}
}
