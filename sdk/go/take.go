package holdline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/r3labs/sse/v2"
)

// readStream follows one stream to its end.
func (f *follower) readStream(ctx context.Context) error {
	path, query := "v1/inbox/stream", url.Values{}
	if f.o.Conversation != "" {
		path = "v1/conversations/" + url.PathEscape(f.o.Conversation) + "/stream"
	} else if f.cursor == "" && f.o.FromStart {
		query.Set("from", string(StreamInboxParamsFromStart))
	}
	s := f.client.openStream(ctx, path, query, f.cursor, f.o.Idle)
	defer s.close()
	first := time.NewTimer(f.o.FirstHeartbeat)
	defer first.Stop()
	silent := first.C
	for {
		select {
		case m, open := <-s.frames:
			if !open {
				return f.streamEnded(s.err)
			}
			silent = nil
			if err := f.takeFrame(ctx, m); err != nil {
				return err
			}
		case <-silent:
			return errSilent
		}
	}
}

// streamEnded is why a stream ended. One that ends in order is to be come back to.
func (f *follower) streamEnded(err error) error {
	var refused *refusalError
	if errors.As(err, &refused) {
		f.hint = refused.answer.retryAfter()
		return f.refusedCursor(err)
	}
	if errors.Is(err, errFrame) {
		return f.malformed("frame", err)
	}
	return err
}

// refusedCursor makes a refusal of the cursor a reset: whatever is wrong with it, coming back with it is of no use.
func (f *follower) refusedCursor(err error) error {
	var p *Problem
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case p.Code == codeCursorReset, p.Status == 400 && f.cursor != "" && (p.Field == "cursor" || p.Field == "after" || p.Field == "Last-Event-ID"):
		return &resetError{problem: p}
	default:
		return err
	}
}

// takeFrame deals with one frame of a stream.
func (f *follower) takeFrame(ctx context.Context, m *sse.Event) error {
	if retry := retryOf(m); retry > 0 {
		f.hint = retry
	}
	switch string(m.Event) {
	case "reset", "end":
		return f.takeEnding(m)
	case "heartbeat":
		return f.takeHeartbeat(ctx, m)
	case "receipt":
		var r InboxReceipt
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return f.malformed("receipt", err)
		}
		f.alive()
		return f.emit(Update{Kind: KindReceipt, ConversationID: r.ConversationId, Receipt: r})
	case "snapshot":
		var s InboxSnapshot
		if err := json.Unmarshal(m.Data, &s); err != nil {
			return f.malformed("snapshot", err)
		}
		f.alive()
		return f.takeSnapshot(&s, string(m.ID))
	}
	var e entry
	if len(m.Data) > 0 {
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return f.malformed("event", err)
		}
	}
	if !e.placed() {
		if len(m.Data) > 0 {
			if hasSeq(m.Data) {
				if e.bad == nil {
					e.bad = errNoPlace
				}
				return f.malformedEvent(&e)
			}
			f.alive()
		}
		// No entry of a log: of a kind that is not known here. The client hands it on with the last id if it has none.
		if id := string(m.ID); id != "" {
			f.cursor = id
		}
		return nil
	}
	if e.bad == nil {
		f.alive()
	}
	return f.takeEvent(ctx, &e, string(m.ID))
}

// takeEnding reads why a stream cannot go on.
func (f *follower) takeEnding(m *sse.Event) error {
	var p Problem
	if err := json.Unmarshal(m.Data, &p); err != nil || p.Code == "" {
		return f.malformed("ending", fmt.Errorf("no reason in %.200q", m.Data))
	}
	switch {
	case string(m.Event) == "reset":
		f.hint = 0 // that was for those who come back with the same cursor
		return &resetError{problem: &p}
	case p.Code == codeRateLimited || p.Status >= 500:
		return &p
	default:
		return &EndError{Problem: &p}
	}
}

// takeHeartbeat compares the head with what has come. A head that was ahead at one heartbeat already, and still is at the
// next, is of events that got lost: they are fetched.
func (f *follower) takeHeartbeat(ctx context.Context, m *sse.Event) error {
	var beat struct {
		LastSeq int64 `json:"last_seq"`
	}
	if err := json.Unmarshal(m.Data, &beat); err != nil {
		return f.malformed("heartbeat", err)
	}
	f.alive()
	if f.bad != nil && f.bad.What == "heartbeat" {
		f.wasRead()
	}
	id := f.o.Conversation
	at, known := f.at[id]
	if id == "" || beat.LastSeq == 0 || !known {
		return nil
	}
	if lost := f.behind; lost > at {
		if err := f.fill(ctx, id, lost); err != nil {
			return err
		}
		at = f.at[id]
	}
	if f.behind = 0; beat.LastSeq > at {
		f.behind = beat.LastSeq
	}
	return f.emit(Update{Kind: KindProgress, ConversationID: id, Head: beat.LastSeq})
}

// takeSnapshot begins with what the inbox is now. What follows may repeat the last of it.
func (f *follower) takeSnapshot(s *InboxSnapshot, cursor string) error {
	if cursor != "" {
		f.cursor = cursor
	}
	if !f.o.FromStart {
		for i := range s.Conversations {
			f.at.reach(s.Conversations[i].Id, s.Conversations[i].LastSeq)
		}
	}
	return f.emit(Update{Kind: KindSnapshot, Snapshot: s})
}

// takeEvent gives an entry of a log to the application if it is the next, after what was missing before it. cursor is
// the place behind it; empty where that is not known.
func (f *follower) takeEvent(ctx context.Context, e *entry, cursor string) error {
	if f.at.judge(&e.Event) == beyond {
		if err := f.fill(ctx, e.ConversationId, e.Seq-1); err != nil {
			return err
		}
	}
	if e.bad == nil && !e.placed() {
		e.bad = errNoPlace
	}
	if e.bad != nil && (!e.placed() || f.at.judge(&e.Event) != repeat) {
		return f.malformedEvent(e)
	}
	if cursor != "" {
		f.cursor = cursor
	}
	if f.at.judge(&e.Event) == repeat {
		return nil
	}
	f.at.reach(e.ConversationId, through(&e.Event))
	if err := f.emit(Update{Kind: KindEvent, ConversationID: e.ConversationId, Event: e.Event}); err != nil {
		return err
	}
	if f.acks != nil && f.transport == Stream {
		f.acks.Delivered(e.ConversationId, through(&e.Event))
	}
	return nil
}

// fill fetches what a conversation's log has up to a seq and has not come, and says what cannot be had. An error
// means that it may be tried again: the connection is to be given up, and the cursor still stands before the hole.
func (f *follower) fill(ctx context.Context, conversation string, to int64) error {
	for f.at[conversation] < to {
		at := f.at[conversation]
		req, err := NewListEventsRequest(f.client.server, conversation, &ListEventsParams{After: optional(strconv.FormatInt(at, 10)), Limit: optional(pageLimit)})
		if err != nil {
			return err
		}
		a, err := f.client.doWithin(ctx, f.o.Idle, req)
		if err != nil {
			return err
		}
		var page wirePage
		var p *Problem
		var bad *MalformedError
		if err := f.decode(a, &page); errors.As(err, &p) && p.Status == 404 {
			return f.missing(conversation, to)
		} else if errors.As(err, &bad) {
			return bad
		} else if err != nil {
			f.hint = a.retryAfter()
			return &transientError{cause: err}
		}
		for i := range page.Events {
			e := &page.Events[i]
			if e.Seq > to {
				break
			}
			if f.at.judge(&e.Event) == beyond {
				if err := f.missing(conversation, e.Seq-1); err != nil {
					return err
				}
			}
			if err := f.takeEvent(ctx, e, f.place(through(&e.Event), page.Cursor)); err != nil {
				return err
			}
		}
		if !page.More || f.at[conversation] == at {
			break
		}
	}
	if f.at[conversation] < to {
		return f.missing(conversation, to)
	}
	return nil
}

// transientError is one that must not end the following, whatever it is; so it does not unwrap.
type transientError struct{ cause error }

func (e *transientError) Error() string {
	return "holdline: what is missing could not be fetched: " + e.cause.Error()
}

// missing tells the application that there is a hole up to a seq, which stays.
func (f *follower) missing(conversation string, to int64) error {
	from := f.at[conversation] + 1
	f.at.reach(conversation, to)
	return f.emit(Update{Kind: KindMissing, ConversationID: conversation, From: from, To: to})
}

// place is the cursor behind a seq of the one conversation that is followed, made of a cursor of the same log; empty
// for the inbox, whose cursors only the server can make.
func (f *follower) place(seq int64, of string) string {
	_, epoch, ok := strings.Cut(of, "-")
	if f.o.Conversation == "" || !ok {
		return ""
	}
	return strconv.FormatInt(seq, 10) + "-" + epoch
}
