package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"holdline/poller"
	"holdline/store"
)

// errRemoved is how a former member who has read all that they may is told.
var errRemoved = store.Errorf(store.CodeNotFound, "You are not a member of this conversation any more, and have read everything up to your removal.")

// ListEvents answers a page of the log: what is after a place, waiting for it
// if asked to, or what is before one.
func (s *Server) ListEvents(ec echo.Context, conversationID ConversationId, params ListEventsParams) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	limit := pageLimit(params.Limit)
	if params.Before != 0 {
		if c.QueryParams().Has("after") || params.Wait != 0 || params.Coalesce != 0 {
			return invalid("before", "Give before, or after with wait, not both.")
		}
		return s.eventsBefore(c, id, params.Before, limit)
	}
	if err := c.checkCoalesce(params.Wait); err != nil {
		return err
	}
	at, field, err := startOf(params.After, "")
	if err != nil {
		return err
	}
	return s.poll(c, pollPlace{
		conversation: id, after: at, field: field, limit: limit,
		until: time.Now().Add(time.Duration(params.Wait) * time.Second),
	})
}

// pollPlace is what a poll asks for.
type pollPlace struct {
	conversation store.ID
	after        cursor
	field        string // that said so
	limit        int
	until        time.Time
}

// poll answers what is after a place, once there is something or its time has
// passed.
func (s *Server) poll(c *call, at pollPlace) error {
	r, err := s.openReader(c, at.conversation, at.after, at.field)
	if err != nil {
		return err
	}
	page := pagePool.Get().(*pageBuffer)
	err = s.readFrames(c, r, page, at.conversation, at.limit)
	if wait := c.waitUntil(at.until); err == nil && len(page.frames) == 0 && !r.Removed() && wait > 0 {
		if err = s.live.begin(c.who.User.ID); err == nil {
			page.release()
			return s.park(c, r, wait, func(c *call, why poller.Wake) (bool, error) { return s.woken(c, r, at, why) })
		}
	}
	defer r.Close()
	defer page.release()
	if err != nil && len(page.frames) == 0 {
		return err
	}
	return s.answerRead(c, r, page, at.conversation)
}

// readFrames reads what a page has room for.
func (s *Server) readFrames(c *call, r *poller.Reader, page *pageBuffer, id store.ID, limit int) (err error) {
	form := c.pageForm(eventPageTail, id)
	if form.most == 0 {
		page.frames, err = r.Read(c.ctx, page.frames[:0], limit, store.MaxPageBytes)
		return err
	}
	fits := form.meter(s, func() int { return 0 })
	page.frames, err = r.ReadFitting(c.ctx, page.frames[:0], limit, func(f poller.Frame) bool { return fits(f, id) })
	return err
}

// woken answers as soon as there is something, and without anything when the
// wait is over or the server drains.
func (s *Server) woken(c *call, r *poller.Reader, at pollPlace, why poller.Wake) (answered bool, err error) {
	switch {
	case why&poller.WakeRevoked != 0:
		return true, errSessionEnded
	case why&poller.WakeReset != 0:
		return true, &resetError{cause: &poller.ResetError{FirstSeq: r.FirstSeq()}, field: "after"}
	}
	last := why&(poller.WakeEnds|poller.WakeGone) != 0
	if _, fresh := r.Head(); last && !fresh && !r.More() && why&poller.WakeGone == 0 {
		// It has waited while the sweep failed: what is known of the head is too
		// old to say that there is nothing.
		at.until = time.Time{}
		return true, s.poll(c, at)
	}
	return s.readPage(c, r, at, last)
}

// readPage answers what there is, in any case if it is the last time.
func (s *Server) readPage(c *call, r *poller.Reader, at pollPlace, last bool) (answered bool, err error) {
	page := pagePool.Get().(*pageBuffer)
	defer page.release()
	err = s.readFrames(c, r, page, at.conversation, at.limit)
	if len(page.frames) == 0 && !r.Removed() && !last {
		return false, err
	}
	return true, s.answerRead(c, r, page, at.conversation)
}

// answerRead answers a page of what was read, or that there will be no more.
func (s *Server) answerRead(c *call, r *poller.Reader, page *pageBuffer, id store.ID) error {
	if r.Removed() && len(page.frames) == 0 {
		return errRemoved
	}
	last, _ := r.Head()
	s.answerPage(c, id, page, pageTail{cursor: r.Position(), epoch: r.Epoch(), more: r.More(), first: r.FirstSeq(), last: last})
	return nil
}

// openReader begins to read for the caller. A cursor that the server made and
// that comes back says that what it covers was delivered.
func (s *Server) openReader(c *call, id store.ID, at cursor, field string) (*poller.Reader, error) {
	ctx, cancel := context.WithTimeout(c.ctx, s.cfg.RequestTimeout)
	defer cancel()
	r, err := s.poller.Open(ctx, poller.Position{
		Conversation: id, Viewer: c.who.User.ID, Session: c.who.Session.ID, After: at.seq, Epoch: at.epoch,
	})
	var reset *poller.ResetError
	if errors.As(err, &reset) {
		return nil, &resetError{cause: reset, field: field}
	}
	if err != nil {
		return nil, err
	}
	if at.epoch != "" && at.seq > 0 && !r.Removed() && c.who.Scopes&ScopeDeliver != 0 {
		s.store.NoteDelivered(c.who.User.ID, id, at.seq)
	}
	return r, nil
}

// checkSession makes sure that the session did not end between the look at
// the credentials, which may come from a cache, and Watch, from when on its end
// is noticed.
func (s *Server) checkSession(c *call) error {
	ctx, cancel := context.WithTimeout(c.ctx, s.cfg.RequestTimeout)
	defer cancel()
	_, _, err := s.store.SessionByID(ctx, c.who.User.ID, c.who.Session.ID)
	if store.CodeOf(err) == store.CodeUnauthorized {
		return errSessionEnded
	}
	return err
}

// pageBuffer is what a page is put together in.
type pageBuffer struct {
	frames []poller.Frame
	body   []byte
}

var pagePool = sync.Pool{New: func() any { return new(pageBuffer) }}

// maxPooledPage keeps the buffers of rare large pages from staying.
const maxPooledPage = 128 << 10

func (p *pageBuffer) release() {
	if cap(p.body) <= maxPooledPage {
		clear(p.frames[:cap(p.frames)])
		pagePool.Put(p)
	}
}

// answerPage answers the frames that were read.
func (s *Server) answerPage(c *call, id store.ID, page *pageBuffer, tail pageTail) {
	form := c.pageForm(eventPageTail, id)
	page.body = page.body[:0]
	if !form.text {
		page.body = append(page.body, `{"events":[`...)
	}
	for i, f := range page.frames {
		if i > 0 && !form.text {
			page.body = append(page.body, ',')
		}
		page.body = form.append(s, page.body, f, id)
	}
	if form.text {
		c.Response().Header().Set("Holdline-Cursor", string(poller.AppendCursor(nil, tail.cursor, tail.epoch)))
		s.write(c, http.StatusOK, textPlain, page.body)
		return
	}
	page.body = tail.append(page.body, form.compact)
	s.write(c, http.StatusOK, "application/json", page.body)
}

// eventsBefore answers the newest events below a seq. Its cursor is the place
// behind the page: with `after` it gives what follows.
func (s *Server) eventsBefore(c *call, id store.ID, before int64, limit int) error {
	ctx, cancel := context.WithTimeout(c.ctx, s.cfg.RequestTimeout)
	defer cancel()
	log, err := s.store.EventsBefore(ctx, c.who.User.ID, id, before, limit)
	if err != nil {
		return err
	}
	page := pagePool.Get().(*pageBuffer)
	defer page.release()
	page.frames = page.frames[:0]
	for i := range log.Events {
		page.frames = append(page.frames, poller.FrameOf(&log.Events[i], s.poller.Epoch(), c.who.User.ID))
	}
	from, _ := c.pageForm(eventPageTail, id).take(s, page.frames, id, true)
	page.frames = slices.Delete(page.frames, 0, from)
	tail := pageTail{epoch: s.poller.Epoch(), more: log.More || from > 0, first: log.FirstSeq(), last: log.LastSeq}
	tail.cursor = max(log.FirstSeq()-1, min(before-1, log.LastSeq))
	if n := len(page.frames); n > 0 {
		tail.cursor = page.frames[n-1].Through()
	}
	s.answerPage(c, id, page, tail)
	return nil
}

// pageTail is what a page says besides its events.
type pageTail struct {
	cursor      int64
	epoch       string
	more        bool
	first, last int64
}

func (t *pageTail) append(dst []byte, compact bool) []byte {
	dst = append(dst, `],"cursor":"`...)
	dst = poller.AppendCursor(dst, t.cursor, t.epoch)
	if compact {
		dst = append(dst, '"')
		if t.more {
			dst = append(dst, `,"more":true`...)
		}
		if t.last > t.cursor {
			dst = append(dst, `,"last_seq":`...)
			dst = strconv.AppendInt(dst, t.last, 10)
		}
		return append(dst, '}')
	}
	dst = append(dst, `","more":`...)
	dst = strconv.AppendBool(dst, t.more)
	dst = append(dst, `,"first_seq":`...)
	dst = strconv.AppendInt(dst, t.first, 10)
	dst = append(dst, `,"last_seq":`...)
	dst = strconv.AppendInt(dst, max(t.last, t.cursor), 10)
	return append(dst, '}')
}

// appendLine appends the line of an event; what cannot be read is left out and logged.
func (s *Server) appendLine(dst, event []byte) []byte {
	dst, err := appendLine(dst, event)
	if err != nil {
		s.logger.Error("writing an event as text", "error", err)
	}
	return dst
}
