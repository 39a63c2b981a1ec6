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

// page is what a poll brings, of either kind.
type page struct {
	events   []Event
	receipts []InboxReceipt
	snapshot *InboxSnapshot
	cursor   string
	head     int64 // 0: not told
	more     bool
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
		if f.o.Transport == Auto && time.Until(f.streamAgain) <= 0 {
			return errTryStream
		}
		// An answer that is held back is worth asking for at once. One that is empty and comes too early is of a server
		// that goes down, or of something in between.
		if len(p.events)+len(p.receipts) > 0 || p.more || p.snapshot != nil || wait == 0 || time.Since(began) > time.Duration(wait)*time.Second/2 {
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
func (f *follower) ask(ctx context.Context, wait int) (*page, error) {
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
	if f.o.Conversation != "" {
		var p EventPage
		if err := a.decode(&p); err != nil {
			return nil, f.refusedCursor(err)
		}
		return &page{events: p.Events, cursor: p.Cursor, head: p.LastSeq, more: p.More}, nil
	}
	var p InboxPage
	if err := a.decode(&p); err != nil {
		return nil, f.refusedCursor(err)
	}
	one := &page{events: p.Events, receipts: p.Receipts, cursor: p.Cursor, more: p.More}
	if f.cursor == "" {
		one.snapshot = &p.Snapshot
	}
	return one, nil
}

// optional is a parameter that is left out where it is zero.
func optional[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// takePage deals with one answer. The cursor of an inbox counts only once all of it has been dealt with.
func (f *follower) takePage(ctx context.Context, p *page) error {
	if p.cursor == "" {
		return errors.New("holdline: an answer without a cursor")
	}
	if p.snapshot != nil {
		behind := p.cursor
		if len(p.events)+len(p.receipts) > 0 {
			behind = "" // that is behind those, too
		}
		if err := f.takeSnapshot(p.snapshot, behind); err != nil {
			return err
		}
	}
	for i := range p.events {
		e := &p.events[i]
		behind := f.place(through(e), p.cursor)
		if i == len(p.events)-1 && len(p.receipts) == 0 {
			behind = p.cursor
		}
		if err := f.takeEvent(ctx, e, behind); err != nil {
			return err
		}
	}
	for i := range p.receipts {
		if i == len(p.receipts)-1 {
			f.cursor = p.cursor
		}
		r := &p.receipts[i]
		if err := f.emit(Update{Kind: KindReceipt, ConversationID: r.ConversationId, Receipt: *r}); err != nil {
			return err
		}
	}
	if len(p.events)+len(p.receipts) > 0 || f.cursor == p.cursor && f.o.Conversation == "" {
		return nil
	}
	f.cursor = p.cursor
	if id := f.o.Conversation; id != "" {
		if seq, ok := seqOf(p.cursor); ok {
			f.at.reach(id, seq)
		}
		return f.emit(Update{Kind: KindProgress, ConversationID: id, Head: p.head})
	}
	return f.emit(Update{Kind: KindProgress})
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
	if err := a.decode(&p); err != nil {
		return err
	}
	f.cursor = p.Cursor
	if seq, ok := seqOf(p.Cursor); ok {
		f.at.reach(f.o.Conversation, seq)
	}
	return f.emit(Update{Kind: KindSnapshot, ConversationID: f.o.Conversation, Messages: &p})
}
