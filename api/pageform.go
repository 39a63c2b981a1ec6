package api

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdline/internal/eventjson"
	"holdline/poller"
	"holdline/store"
)

// minMaxBytes is the least max_bytes that is taken. It is enough for every event
// in every form, with numbers of 19 digits and a client_id that doubles when it
// is escaped: TestTheLeastMaxBytesIsEnough.
const minMaxBytes = 640

// What a page holds at most beside its events: the tail of a conversation's, and
// of an inbox's with a cursor of 128 characters.
const (
	eventPageTail = len(`{"events":[],"cursor":"1234567890123456789-12345678901234567890","more":false,"first_seq":1234567890123456789,"last_seq":1234567890123456789}`)
	inboxPageTail = len(`{"events":[],"receipts":[],"cursor":"","more":false,"truncated":true}`) + maxInboxCursor
	emptySnapshot = len(`,"snapshot":{"conversations":[],"more":false,"receipts":[]}`)
	textEnvelope  = len(`"","cursor":""`) + maxInboxCursor

	maxInboxCursor = 128
)

// pageForm is how the events of one page are written: as JSON, in full or
// compact, or as lines, and in how many bytes.
type pageForm struct {
	text, compact bool
	inbox         bool // the events are of several conversations
	quoted        bool // lines that stand in an envelope as one JSON string
	most          int  // bytes for all events; 0: no bound but that of pages
	told          poller.Told
	scratch       []byte
}

// number is a parameter of the query that is a number, 0 if it is not there;
// the contract's bounds have been checked.
func (c *call) number(name string) int {
	values := c.QueryParams()[name]
	if len(values) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(values[0]) // checkQuery has
	return n
}

// coalesce is how long the first event that is waited for is held back.
func (c *call) coalesce() time.Duration { return time.Duration(c.number("coalesce")) * time.Second }

// checkCoalesce refuses a poll that is to hold back and does not wait.
func (c *call) checkCoalesce(wait int) error {
	if wait == 0 && c.number("coalesce") > 0 {
		return invalid("coalesce", "coalesce is for those who wait: give wait as well.")
	}
	return nil
}

// pageForm reads what form a page is asked for in; tail is what it holds at most
// beside its events, conversation whose it is, 0 for an inbox.
func (c *call) pageForm(tail int, conversation store.ID) *pageForm {
	f := &pageForm{text: wantsText(c.Request()), compact: c.number("compact") == 1, inbox: conversation == 0}
	if conversation != 0 {
		f.told.Within(conversation)
	}
	if f.text {
		tail = 0
		if f.quoted = wantsEnvelope(c); f.quoted {
			tail = textEnvelope
		}
	}
	f.most = c.room(tail)
	return f
}

// room is how many bytes max_bytes leaves beside tail and envelope; 0 if it was not given.
func (c *call) room(tail int) int {
	most := c.number("max_bytes")
	switch {
	case most == 0:
		return 0
	case wantsEnvelope(c):
		tail += envelopeBytes
	}
	return most - tail
}

// append appends an event. By itself it is never longer than the bound.
func (f *pageForm) append(s *Server, dst []byte, e poller.Frame, conversation store.ID) []byte {
	if f.text {
		return f.appendLine(s, dst, e, conversation)
	}
	from := len(dst)
	if f.compact {
		dst = e.AppendCompact(dst, conversation, &f.told)
	} else {
		dst = e.AppendJSON(dst)
	}
	return cutBehind(dst, from, f.most)
}

// cutBehind cuts the event that begins at from to most bytes, if that is not 0.
func cutBehind(dst []byte, from, most int) []byte {
	if most > 0 && len(dst)-from > most {
		return append(dst[:from], eventjson.Cut(nil, dst[from:], most)...)
	}
	return dst
}

func (f *pageForm) appendLine(s *Server, dst []byte, e poller.Frame, conversation store.ID) []byte {
	from := len(dst)
	if f.inbox {
		dst = append(conversation.Append(dst), '\t')
	}
	f.scratch = e.AppendJSON(f.scratch[:0])
	dst = s.appendLine(dst, f.scratch)
	if f.most == 0 {
		return dst
	}
	for limit := f.most; ; limit -= (f.cost(dst[from:]) - f.most + 1) / 2 {
		// An envelope doubles some characters: what is over is worth half of it at least.
		if len(dst)-from > limit {
			dst = cutLine(dst, from, limit)
		}
		if f.cost(dst[from:]) <= f.most {
			return dst
		}
		limit = len(dst) - from
	}
}

// cost is how many bytes of the bound something takes.
func (f *pageForm) cost(b []byte) int {
	if !f.quoted {
		return len(b)
	}
	quoted, err := jsontext.AppendQuote(nil, b)
	if err != nil {
		return 2 * len(b)
	}
	return len(quoted) - len(`""`)
}

// meter decides which events a page takes: those that fit together and with what
// stands beside them, which it asks for when it has come to the second; and the first in
// any case, which is cut.
func (f *pageForm) meter(s *Server, beside func() int) func(poller.Frame, store.ID) bool {
	ahead := *f
	ahead.scratch = nil
	var buf []byte
	used, others := 0, -1
	return func(e poller.Frame, conversation store.ID) bool {
		told := ahead.told
		buf = ahead.append(s, buf[:0], e, conversation)
		size := ahead.cost(buf)
		if used > 0 {
			if !f.text {
				size++ // the comma
			}
			if others < 0 {
				others = beside()
			}
			if used+size+others > f.most {
				ahead.told = told
				return false
			}
		}
		used += size
		return true
	}
}

// take chooses from all, newest last, those that fit together: the newest, or the
// oldest. It measures each without what the others tell.
func (f *pageForm) take(s *Server, all []poller.Frame, conversation store.ID, newest bool) (from, to int) {
	if f.most == 0 {
		return 0, len(all)
	}
	used := 0
	for n := range all {
		i := n
		if newest {
			i = len(all) - 1 - n
		}
		alone := pageForm{text: f.text, compact: f.compact, inbox: f.inbox, quoted: f.quoted, most: f.most}
		if conversation != 0 {
			alone.told.Within(conversation)
		}
		used += alone.cost(alone.append(s, nil, all[i], conversation)) + 1
		if n > 0 && used-1 > f.most {
			if newest {
				return i + 1, len(all)
			}
			return 0, i
		}
	}
	return 0, len(all)
}
