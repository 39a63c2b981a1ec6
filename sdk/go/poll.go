package holdline

import (
	"context"
	"errors"
	"net/http"
	"time"
)

const (
	pageLimit = 1000 // events a page, at most
	maxWait   = 50   // seconds that the server holds a poll
	// pollGrace is what a poll may take beyond the time it is held for.
	pollGrace = 15 * time.Second
)

// errTryStream says that it is time to try a stream once more.
var errTryStream = errors.New("holdline: a stream is tried again")

// errNoCursor is an answer that has the form of JSON and nothing else of the server's.
var errNoCursor = errors.New("holdline: an answer without a cursor")

// wirePage is what a poll brings, an EventPage or an InboxPage.
type wirePage struct {
	Events   []entry        `json:"events"`
	Receipts []InboxReceipt `json:"receipts"`
	Snapshot *InboxSnapshot `json:"snapshot"`
	Cursor   string         `json:"cursor"`
	LastSeq  int64          `json:"last_seq"` // 0: not told
	More     bool           `json:"more"`
}

// poll follows by asking again and again, until an answer fails.
func (f *follower) poll(ctx context.Context) error {
	wait := 0 // the first shows at once whether polling works
	hasty := 0
	for {
		began := time.Now()
		p, err := f.ask(ctx, wait)
		if err != nil {
			return err
		}
		f.alive()
		f.pollingWorks()
		if err := f.takePage(ctx, p); err != nil {
			return err
		}
		f.wasRead()
		if f.o.Transport == Auto && time.Until(f.streamAgain) <= 0 {
			return errTryStream
		}
		// An answer that is held back is worth asking for at once. One that is empty and comes too early is of a server
		// that goes down, or of something in between.
		if len(p.Events)+len(p.Receipts) > 0 || p.More || p.Snapshot != nil || wait == 0 || time.Since(began) > time.Duration(wait)*time.Second/2 {
			hasty = 0
		} else if hasty++; hasty > 1 {
			if err := pause(ctx, f.o.Pace.after(hasty-1, 0)); err != nil {
				return err
			}
		}
		held := f.o.PollWait
		if f.o.Transport == Auto {
			held = min(held, time.Until(f.streamAgain)) // a poll must not put that off
		}
		wait = min(maxWait, max(1, int(held/time.Second)))
	}
}

// ask makes one poll.
func (f *follower) ask(ctx context.Context, wait int) (*wirePage, error) {
	var req *http.Request
	var err error
	if f.o.Conversation != "" {
		req, err = NewListEventsRequest(f.client.server, f.o.Conversation, &ListEventsParams{After: optional(f.cursor), Wait: optional(wait), Limit: optional(pageLimit)})
	} else {
		params := &GetInboxParams{Cursor: optional(f.cursor), Wait: optional(wait), Limit: optional(pageLimit)}
		if f.cursor == "" && f.o.FromStart {
			params.From = optional(GetInboxParamsFromStart)
		}
		req, err = NewGetInboxRequest(f.client.server, params)
	}
	if err != nil {
		return nil, err
	}
	a, err := f.client.doWithin(ctx, time.Duration(wait)*time.Second+pollGrace, req)
	if err != nil {
		return nil, err
	}
	f.hint = a.retryAfter()
	p := &wirePage{}
	if err := f.decode(a, p); err != nil {
		return nil, f.refusedCursor(err)
	}
	if p.Cursor == "" {
		return nil, errNoCursor
	}
	if f.o.Conversation != "" || f.cursor != "" {
		p.Snapshot = nil
	} else if p.Snapshot == nil {
		p.Snapshot = &InboxSnapshot{}
	}
	return p, nil
}

// optional is a parameter that is left out where it is zero.
func optional[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// takePage deals with one answer. The cursor of an inbox counts only once all of it has been dealt with.
func (f *follower) takePage(ctx context.Context, p *wirePage) error {
	if p.Snapshot != nil {
		behind := p.Cursor
		if len(p.Events) > 0 {
			behind = "" // that is behind those, too
		}
		showReceipts(p.Snapshot, p.Receipts)
		if err := f.takeSnapshot(p.Snapshot, behind); err != nil {
			return err
		}
	}
	for i := range p.Events {
		e := &p.Events[i]
		behind := f.place(through(&e.Event), p.Cursor)
		if i == len(p.Events)-1 && len(p.Receipts) == 0 {
			behind = p.Cursor
		}
		if err := f.takeEvent(ctx, e, behind); err != nil {
			return err
		}
	}
	for i := range p.Receipts {
		if i == len(p.Receipts)-1 {
			f.cursor = p.Cursor
		}
		r := &p.Receipts[i]
		if err := f.emit(Update{Kind: KindReceipt, ConversationID: r.ConversationId, Receipt: *r}); err != nil {
			return err
		}
	}
	if len(p.Events)+len(p.Receipts) > 0 || f.cursor == p.Cursor && f.o.Conversation == "" {
		return nil
	}
	f.cursor = p.Cursor
	if id := f.o.Conversation; id != "" {
		if seq, ok := seqOf(p.Cursor); ok {
			f.at.reach(id, seq)
		}
		return f.emit(Update{Kind: KindProgress, ConversationID: id, Head: p.LastSeq})
	}
	return f.emit(Update{Kind: KindProgress})
}

// showReceipts puts the receipts of a page into its snapshot, since the cursor that is given with it covers them: who
// keeps the two and stops there has them. They are not older.
func showReceipts(s *InboxSnapshot, receipts []InboxReceipt) {
	type whose struct{ conversation, user string }
	shown := make(map[whose]int, len(s.Receipts))
	for i := range s.Receipts {
		shown[whose{s.Receipts[i].ConversationId, s.Receipts[i].UserId}] = i
	}
	for i := range receipts {
		if at, ok := shown[whose{receipts[i].ConversationId, receipts[i].UserId}]; ok {
			s.Receipts[at] = receipts[i]
		} else {
			s.Receipts = append(s.Receipts, receipts[i])
		}
	}
}

// readMessages begins with one conversation as it is now. The cursor of that answer leaves no gap to the log.
func (f *follower) readMessages(ctx context.Context) error {
	req, err := NewListMessagesRequest(f.client.server, f.o.Conversation, &ListMessagesParams{})
	if err != nil {
		return err
	}
	a, err := f.client.doWithin(ctx, pollGrace, req)
	if err != nil {
		return err
	}
	f.hint = a.retryAfter()
	var p MessagePage
	if err := f.decode(a, &p); err != nil {
		return err
	}
	if p.Cursor == "" {
		return errNoCursor
	}
	f.cursor = p.Cursor
	if seq, ok := seqOf(p.Cursor); ok {
		f.at.reach(f.o.Conversation, seq)
	}
	return f.emit(Update{Kind: KindSnapshot, ConversationID: f.o.Conversation, Messages: &p})
}
