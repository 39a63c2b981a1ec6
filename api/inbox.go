package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"holdline/poller"
	"holdline/store"
)

// maxSnapshot is how many conversations a snapshot lists.
const maxSnapshot = 1000

// GetInbox answers what came after a cursor in all of the caller's
// conversations, waiting for it if asked to.
func (s *Server) GetInbox(ec echo.Context, params GetInboxParams) error {
	c := callOf(ec)
	if params.Cursor != "" && params.From != "" {
		return invalid("from", "Give cursor, or from on a first connect, not both.")
	}
	if err := c.checkCoalesce(params.Wait); err != nil {
		return err
	}
	until := time.Now().Add(time.Duration(params.Wait) * time.Second)
	in, err := s.openInbox(c, params.Cursor, "cursor", params.From == GetInboxParamsFromStart)
	if err != nil {
		return err
	}
	var snapshot *inboxSnapshot
	if params.Cursor == "" && !wantsText(c.Request()) {
		if snapshot, err = s.snapshot(c, in); err != nil {
			in.Close()
			return err
		}
	}
	limit := pageLimit(params.Limit)
	b := inboxBatches.Get().(*inboxBuffer)
	wait := time.Duration(0)
	if params.Cursor != "" {
		wait = c.waitUntil(until)
	}
	err = s.readBatch(c, in, b, limit)
	if err == nil && b.silent(wantsText(c.Request())) && wait > 0 {
		if err = s.live.begin(c.who.User.ID); err == nil {
			b.release()
			return s.park(c, in, wait, func(c *call, why poller.Wake) (bool, error) { return s.wokenInbox(c, in, limit, why) })
		}
	}
	defer in.Close()
	defer b.release()
	if err != nil && b.empty() {
		return err
	}
	return s.answerInbox(c, in, b, snapshot)
}

// waitUntil is how long a poll may wait: no longer than its ticket is good.
func (c *call) waitUntil(until time.Time) time.Duration {
	wait := time.Until(until)
	if !c.who.ExpiresAt.IsZero() {
		wait = min(wait, time.Until(c.who.ExpiresAt))
	}
	return wait
}

// wokenInbox answers as soon as there is something, and without anything when
// the wait is over or the server drains.
func (s *Server) wokenInbox(c *call, in *poller.Inbox, limit int, why poller.Wake) (answered bool, err error) {
	switch {
	case why&poller.WakeRevoked != 0:
		return true, errSessionEnded
	case why&poller.WakeReset != 0:
		return true, inboxReset("cursor")
	}
	return s.readInbox(c, in, limit, why&(poller.WakeEnds|poller.WakeGone) != 0)
}

// readInbox answers what there is, in any case if it is the last time.
func (s *Server) readInbox(c *call, in *poller.Inbox, limit int, last bool) (answered bool, err error) {
	b := inboxBatches.Get().(*inboxBuffer)
	defer b.release()
	err = s.readBatch(c, in, b, limit)
	if b.silent(wantsText(c.Request())) && !last {
		return false, err
	}
	return true, s.answerInbox(c, in, b, nil)
}

// readBatch reads what a page has room for. Events that do not fit come with the
// next page, receipts that do not are lost to its reader: so these go before all
// events but one.
func (s *Server) readBatch(c *call, in *poller.Inbox, b *inboxBuffer, limit int) error {
	if form := c.inboxForm(); form.most > 0 {
		receipts := func() int {
			if form.text {
				return 0
			}
			all, _ := b.appendReceipts(nil, form.compact, math.MaxInt, c.who.User.ID)
			return len(all)
		}
		return in.ReadFitting(c.ctx, &b.InboxBatch, limit, form.meter(s, receipts))
	}
	return in.Read(c.ctx, &b.InboxBatch, limit, store.MaxPageBytes, false)
}

// inboxForm is the form of an inbox's page. The first of all has a snapshot.
func (c *call) inboxForm() *pageForm {
	tail := inboxPageTail
	if !c.QueryParams().Has("cursor") {
		tail += emptySnapshot
	}
	return c.pageForm(tail, 0)
}

// openInbox begins to read the caller's inbox. A cursor that comes back says
// that what it covers was delivered.
func (s *Server) openInbox(c *call, cursor, field string, fromStart bool) (*poller.Inbox, error) {
	ctx, cancel := context.WithTimeout(c.ctx, s.cfg.RequestTimeout)
	defer cancel()
	user := c.who.User.ID
	in, err := s.poller.OpenInbox(ctx, poller.InboxPosition{
		Viewer: user, Session: c.who.Session.ID, Cursor: cursor, FromStart: fromStart, Key: s.store.MACKey(),
	})
	var reset *poller.ResetError
	switch {
	case errors.As(err, &reset):
		return nil, inboxReset(field)
	case errors.Is(err, poller.ErrInboxCursor):
		return nil, invalid(field, "%s is not one that this server made for you. Begin again without it.", field)
	case err != nil:
		return nil, err
	}
	if c.who.Scopes&ScopeDeliver == 0 {
		return in, nil
	}
	d := in.Delivered()
	for _, p := range d.Places {
		s.store.NoteDelivered(user, p.ConversationID, p.Seq)
	}
	if d.Until != 0 {
		if err := s.store.NoteCaughtUp(ctx, user, store.CaughtUp{Since: d.Since, Until: d.Until, Slot: d.Slot, Seq: d.Seq}); err != nil {
			s.logger.Warn("noting what a cursor acknowledges", "error", err)
		}
	}
	return in, nil
}

// inboxReset tells what an inbox's cursor was refused for and how to go on.
func inboxReset(field string) error {
	return &store.Error{
		Code: store.CodeCursorReset, Field: field,
		Message: "This cursor is from before the database was restored. Begin again without a cursor; the answer has what to draw a screen from.",
	}
}

// StreamInbox answers the inbox as an event stream, or with Accept: text/plain
// as lines.
func (s *Server) StreamInbox(ec echo.Context, params StreamInboxParams) error {
	c := callOf(ec)
	text := wantsText(c.Request())
	if c.ended != nil {
		return s.refuseStream(c, text, c.ended)
	}
	cursor, field := params.Cursor, "cursor"
	if params.LastEventID != "" {
		cursor, field = params.LastEventID, "Last-Event-ID"
	} else if cursor != "" && params.From != "" {
		return invalid("from", "Give cursor, or from on a first connect, not both.")
	}
	user := c.who.User.ID
	switch err := s.live.begin(user); {
	case errors.Is(err, errGoingDown):
		return err
	case err != nil:
		return s.refuseStream(c, text, err)
	}
	in, err := s.openInbox(c, cursor, field, params.From == StreamInboxParamsFromStart)
	if err != nil {
		s.live.done(user)
		// EventSource repeats what it has, and could not see a 400.
		if field == "Last-Event-ID" && store.CodeOf(err) == store.CodeInvalid {
			err = inboxReset(field)
		}
		if store.CodeOf(err) == store.CodeCursorReset {
			return s.refuseStream(c, text, err)
		}
		return err
	}
	from := &inboxSource{Inbox: in, user: user, fresh: cursor == ""}
	if from.fresh && !text {
		snapshot, err := s.snapshot(c, in)
		if err != nil {
			in.Close()
			s.live.done(user)
			return err
		}
		room := 0
		if most := c.number("max_bytes"); most > 0 {
			room = most - len("event: snapshot\ndata: \nid: \n\n") - maxInboxCursor
		}
		if from.first, err = snapshot.marshal(room); err != nil {
			in.Close()
			s.live.done(user)
			return err
		}
	}
	return s.stream(c, from, text, c.streamForm())
}

// inboxBuffer is what an inbox's answer is put together in.
type inboxBuffer struct {
	poller.InboxBatch
	body []byte
}

var inboxBatches = sync.Pool{New: func() any { return new(inboxBuffer) }}

func (b *inboxBuffer) empty() bool { return b.silent(false) }

// silent reports whether an answer would show nothing: lines have no receipts.
func (b *inboxBuffer) silent(text bool) bool {
	return len(b.Events) == 0 && (text || len(b.Receipts) == 0)
}

func (b *inboxBuffer) release() {
	if cap(b.body) > maxPooledPage {
		return
	}
	b.Clear()
	inboxBatches.Put(b)
}

func (s *Server) answerInbox(c *call, in *poller.Inbox, b *inboxBuffer, snapshot *inboxSnapshot) error {
	form := c.inboxForm()
	b.body = b.body[:0]
	if form.text {
		for _, e := range b.Events {
			b.body = form.append(s, b.body, e.Frame, e.Conversation())
		}
		c.Response().Header().Set("Holdline-Cursor", string(in.AppendCursor(nil)))
		s.write(c, http.StatusOK, textPlain, b.body)
		return nil
	}
	b.body = append(b.body, `{"events":[`...)
	from := len(b.body)
	for i, e := range b.Events {
		if i > 0 {
			b.body = append(b.body, ',')
		}
		b.body = form.append(s, b.body, e.Frame, e.Conversation())
	}
	room := maxReceiptBytes
	if form.most > 0 {
		room = max(1, form.most-(len(b.body)-from))
	}
	var leftOut bool
	b.body, leftOut = b.appendReceipts(append(b.body, ']'), form.compact, room, c.who.User.ID)
	b.body = append(b.body, `,"cursor":"`...)
	b.body = in.AppendCursor(b.body)
	b.body = append(b.body, '"')
	if more := in.More(); more || !form.compact {
		b.body = append(b.body, `,"more":`...)
		b.body = strconv.AppendBool(b.body, more)
	}
	if leftOut {
		b.body = append(b.body, `,"truncated":true`...)
	}
	if snapshot != nil {
		left := 0
		if most := c.room(len(`,"snapshot":}`)); most > 0 {
			left = most - len(b.body)
		}
		text, err := snapshot.marshal(left)
		if err != nil {
			return err
		}
		b.body = append(append(b.body, `,"snapshot":`...), text...)
	}
	b.body = append(b.body, '}')
	s.write(c, http.StatusOK, "application/json", b.body)
	return nil
}

// maxReceiptBytes bounds the receipts of an answer that asks for no bound itself.
// A user can be added to many large groups without being asked.
const maxReceiptBytes = 1 << 20

// appendReceipts appends the receipts that fit into room bytes; in compact form
// only if there are any.
func (b *inboxBuffer) appendReceipts(dst []byte, compact bool, room int, viewer store.ID) (out []byte, leftOut bool) {
	if compact && len(b.Receipts) == 0 {
		return dst, false
	}
	dst = append(dst, `,"receipts":[`...)
	from := len(dst)
	for i, r := range b.Receipts {
		before := len(dst)
		if i > 0 {
			dst = append(dst, ',')
		}
		if compact {
			dst = r.AppendCompact(dst, viewer)
		} else {
			dst = r.AppendJSON(dst, viewer)
		}
		if len(dst)-from > room {
			return append(dst[:before], ']'), true
		}
	}
	return append(dst, ']'), false
}
