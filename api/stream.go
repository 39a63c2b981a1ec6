package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"holdline/poller"
	"holdline/store"
)

// StreamEvents answers the log as an event stream, or with Accept: text/plain
// as lines. The connection is taken over from net/http, and the stream goes on
// in a goroutine of its own after the handler has returned: a waiting reader
// then costs a small stack and no buffers.
func (s *Server) StreamEvents(ec echo.Context, conversationID ConversationId, params StreamEventsParams) error {
	c := callOf(ec)
	text := wantsText(c.Request())
	if c.ended != nil {
		return s.refuseStream(c, text, c.ended)
	}
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	at, field, err := startOf(params.After, params.LastEventID)
	if err != nil {
		// EventSource repeats what it has, and could not see a 400.
		if field == "Last-Event-ID" {
			err = &resetError{cause: &poller.ResetError{}, field: field}
			return s.refuseStream(c, text, err)
		}
		return err
	}
	user := c.who.User.ID
	switch err := s.live.begin(user); {
	case errors.Is(err, errGoingDown):
		return err
	case err != nil:
		return s.refuseStream(c, text, err)
	}
	r, err := s.openReader(c, id, at, field)
	if err != nil {
		s.live.done(user)
		if store.CodeOf(err) == store.CodeCursorReset {
			return s.refuseStream(c, text, err)
		}
		return err
	}
	if r.Removed() {
		r.Close()
		s.live.done(user)
		return s.refuseStream(c, text, errRemoved)
	}
	form := c.streamForm()
	if form != nil {
		form.told.Within(id)
	}
	return s.stream(c, &conversationSource{r, id}, text, form)
}

// stream lets a source's stream go on by itself; it has been counted by begin.
func (s *Server) stream(c *call, from source, text bool, form *streamForm) error {
	user := c.who.User.ID
	st := &stream{server: s, source: from, user: user, text: text, form: form}
	if acceptsGzip(c.Request().Header) {
		st.zip = new(streamZip)
	}
	from.Watch(poller.Watch{
		Heartbeat: s.cfg.Heartbeat, Age: s.cfg.StreamAge, Expires: c.who.ExpiresAt,
		WriteLimit: s.cfg.WriteTimeout, Cut: st.cut, Coalesce: c.coalesce(),
	})
	if err := s.checkSession(c); err != nil {
		from.Close()
		s.live.done(user)
		if store.CodeOf(err) == store.CodeUnauthorized {
			return s.refuseStream(c, text, err)
		}
		return err
	}
	return st.start(c)
}

// refuseStream tells a client why there is no stream for it: inside a 200,
// since EventSource would neither show another status nor come back after it.
// Those who asked for text can see statuses.
func (s *Server) refuseStream(c *call, text bool, err error) error {
	if text {
		return err
	}
	setStreamHeaders(c.Response().Header(), text)
	s.write(c, http.StatusOK, eventStream, appendEnding(nil, err))
	return nil
}

// comeBack is the answer to a stream that err keeps from beginning. What passes
// (a database that is gone, a server that goes down) must be no status for an
// EventSource, which would give up for good: it gets a stream that ends at
// once, and a time to come back at. Those who asked for text can see statuses.
func (s *Server) comeBack(c *call, err error) error {
	id, ok := store.ParseID(c.Param("conversation_id"))
	if !ok && c.Param("conversation_id") != "" || wantsText(c.Request()) || problemOf(err).Status != http.StatusServiceUnavailable {
		return err
	}
	setStreamHeaders(c.Response().Header(), false)
	body := appendRetry(nil, jittered(retryAtFirst, retryAfterClose))
	s.write(c, http.StatusOK, eventStream, appendHeartbeat(body, id, 0, false, time.Now()))
	return nil
}

// setStreamHeaders completes the common headers for a stream: proxies are asked
// neither to buffer nor to compress it; those who want it compressed ask us.
func setStreamHeaders(h http.Header, text bool) {
	kind := eventStream
	if text {
		kind = textPlain
	}
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// live is what goes on beside or beyond the handlers: streams, and polls that
// wait. Close ends it and waits for it.
type live struct {
	server *Server

	// ctx ends when the patience of close is over.
	ctx    context.Context
	giveUp context.CancelFunc

	mu      sync.Mutex
	closing bool
	streams map[*stream]struct{}
	parked  map[*parkedPoll]bool // true once it is answered, and its connection kept
	perUser map[store.ID]int     // streams and waiting polls
	running sync.WaitGroup       // the same, and parked
}

func (l *live) open(s *Server) {
	l.server = s
	l.streams = make(map[*stream]struct{})
	l.parked = make(map[*parkedPoll]bool)
	l.perUser = make(map[store.ID]int)
	l.ctx, l.giveUp = context.WithCancel(context.Background())
}

var (
	errGoingDown = store.Errorf(codeShuttingDown, "The server is going down. Come back in a moment.")
	errTooMany   = &retryError{
		cause: store.Errorf(codeRateLimited, "You have too many streams and waiting polls open. Close some, then come back."),
		after: retryNever,
	}
)

// begin counts a stream or a poll that waits, which close has to wait for.
// errGoingDown once closing; errTooMany when the user has too many already.
func (l *live) begin(user store.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closing:
		return errGoingDown
	case l.perUser[user] >= l.server.cfg.WaitingPerUser:
		return errTooMany
	}
	l.perUser[user]++
	l.running.Add(1)
	return nil
}

func (l *live) done(user store.ID) {
	l.mu.Lock()
	if l.perUser[user]--; l.perUser[user] <= 0 {
		delete(l.perUser, user)
	}
	l.mu.Unlock()
	l.running.Done()
}

func (l *live) add(st *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams[st] = struct{}{}
}

func (l *live) remove(st *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.streams, st)
}

const (
	// Streams end spread over this long when the server goes down, or over
	// spreadEach for each of them if that is less.
	maxSpread  = 5 * time.Second
	spreadEach = 2 * time.Millisecond
)

// close answers the polls that wait and ends the streams, spread out, each
// with everything that is committed by then. When ctx ends first, what is left
// is cut.
func (l *live) close(ctx context.Context) error {
	l.mu.Lock()
	l.closing = true
	for p, answered := range l.parked {
		if answered {
			_ = p.conn.SetReadDeadline(past)
		}
	}
	spread := min(maxSpread, time.Duration(len(l.streams))*spreadEach)
	l.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok {
		spread = min(spread, time.Until(deadline)/2)
	}
	l.server.poller.Drain(spread)
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	l.giveUp()
	l.mu.Lock()
	for st := range l.streams {
		st.cut()
	}
	for p := range l.parked {
		_ = p.conn.SetDeadline(past)
	}
	l.mu.Unlock()
	<-ended
	return ctx.Err()
}

// start sends the head of the answer and lets the stream go on by itself.
// Where the connection cannot be taken over (HTTP/2) the handler stays.
func (st *stream) start(c *call) error {
	setStreamHeaders(c.Response().Header(), st.text)
	c.Response().Header().Set("Vary", "Accept-Encoding")
	if st.zip != nil {
		c.Response().Header().Set("Content-Encoding", "gzip")
	}
	rc := http.NewResponseController(c.Response())
	conn, _, err := rc.Hijack()
	switch {
	case err == nil:
		// What the client sends after its request is left unread.
		_ = conn.SetDeadline(time.Time{}) // net/http may have set some
		st.conn, _ = unwrap(conn)
		head := appendHead(nil, c.Response().Header())
		st.server.live.add(st)
		go st.runHijacked(head)
		return http.ErrHijacked
	case errors.Is(err, http.ErrNotSupported):
		st.shared = &sharedConn{w: c.Response(), control: rc, gone: c.ctx.Done()}
		c.Response().WriteHeader(http.StatusOK)
		st.server.live.add(st)
		st.run(nil)
		st.end()
		return nil
	default:
		st.source.Close()
		st.server.live.done(st.user)
		return err
	}
}

// appendHead is the head of an answer whose body ends with the connection: no
// length, no chunks, so that HTTP/1.0 clients and proxies read it too (RFC 9112
// section 6.3).
func appendHead(dst []byte, h http.Header) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nConnection: close\r\n"...)
	return appendHeaders(dst, h)
}

// appendHeaders appends the date, the headers but for Connection and
// Transfer-Encoding, and the empty line behind them.
func appendHeaders(dst []byte, h http.Header) []byte {
	dst = append(dst, "Date: "...)
	dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
	dst = append(dst, "\r\n"...)
	for name, values := range h {
		if name == "Connection" || name == "Date" || name == "Transfer-Encoding" {
			continue
		}
		for _, value := range values {
			dst = append(dst, name...)
			dst = append(dst, ": "...)
			dst = append(dst, value...)
			dst = append(dst, "\r\n"...)
		}
	}
	return append(dst, "\r\n"...)
}

// sharedConn writes a stream through net/http, on a connection that others use too.
type sharedConn struct {
	w       http.ResponseWriter
	control *http.ResponseController
	gone    <-chan struct{}
}

func (s *sharedConn) write(b []byte) error {
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}

// past is a deadline that is over: setting it makes a write that goes on fail.
var past = time.Unix(1, 0)

// cut makes the write that goes on, and every later one, fail. It is called
// from other goroutines.
func (st *stream) cut() {
	if st.conn != nil {
		_ = st.conn.SetDeadline(past)
	} else if st.shared != nil {
		_ = st.shared.control.SetWriteDeadline(past)
	}
}

// lingerTime is how long a connection is kept for its client to have read the
// end of a stream.
const lingerTime = time.Second

// hangUp closes the connection. A socket that is closed with input unread
// resets, which can take back what the client has not read yet; so after a
// whole stream the client is given a moment to close its own side. After a cut
// the kernel's buffers are given up at once.
func hangUp(conn net.Conn, whole bool) {
	half, canHalf := conn.(interface{ CloseWrite() error })
	switch tcp, isTCP := conn.(*net.TCPConn); {
	case whole && canHalf && half.CloseWrite() == nil:
		_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
		var rest [512]byte
		for limit := 128; limit > 0; limit-- {
			if _, err := conn.Read(rest[:]); err != nil {
				break
			}
		}
	case !whole && isTCP:
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
