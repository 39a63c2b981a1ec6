package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"holdline/poller"
)

// Returns gives connections back to an http.Server: serve it beside the
// listener that they came from. While a poll waits, its connection is taken
// over, as a stream's is, since net/http's goroutine and buffers are most of
// what a waiting poll would cost; when it is answered the connection is a
// client's to use again.
type Returns struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// NewReturns makes a Returns for connections that were accepted at addr.
func NewReturns(addr net.Addr) *Returns {
	return &Returns{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept implements net.Listener.
func (r *Returns) Accept() (net.Conn, error) {
	select {
	case conn := <-r.conns:
		return conn, nil
	case <-r.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (r *Returns) Close() error {
	r.once.Do(func() { close(r.done) })
	return nil
}

// Addr implements net.Listener.
func (r *Returns) Addr() net.Addr { return r.addr }

// give hands a connection over, or closes it when nobody serves any more.
func (r *Returns) give(conn net.Conn) {
	select {
	case r.conns <- conn:
	case <-r.done:
		_ = conn.Close()
	}
}

// errParked says that a handler has left its connection to a poll that waits.
var errParked = fmt.Errorf("the poll waits by itself: %w", http.ErrHijacked)

// waiter is what a poll waits on: a conversation's reader, or an inbox.
type waiter interface {
	Watch(poller.Watch)
	Close()
}

// mayWait counts a poll that is about to wait, which park then has to end. It is
// false while the server goes down, when all polls are answered at once.
func (s *Server) mayWait(c *call) (bool, error) {
	err := s.live.begin(c.who.User.ID)
	if errors.Is(err, errGoingDown) {
		return false, nil
	}
	return err == nil, err
}

// park runs the rest of a poll that mayWait has let in, on a goroutine of its own
// that has the connection for itself, with a call that is good there. Where the
// connection cannot be taken over and given back (TLS, HTTP/2, HTTP/1.0, no
// Returns) rest runs here, on the handler's goroutine. In the end it closes on
// and ends what mayWait began.
func (s *Server) park(c *call, on waiter, wait time.Duration, rest func(c *call) error) error {
	on.Watch(poller.Watch{Wait: wait})
	// Here, since it takes a deep stack, which a goroutine that waits would keep.
	if err := s.checkSession(c); err != nil {
		on.Close()
		s.live.done(c.who.User.ID)
		return err
	}
	ended := func(c *call) error {
		defer s.live.done(c.who.User.ID)
		defer on.Close()
		return rest(c)
	}
	r := c.Request()
	if s.cfg.Returns == nil || c.parked || r.TLS != nil || r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return ended(c)
	}
	conn, buffered, err := http.NewResponseController(c.Response()).Hijack()
	if err != nil {
		return ended(c)
	}
	_ = conn.SetDeadline(time.Time{}) // net/http may have set some
	p := &parkedPoll{
		server: s, conn: conn, began: time.Now(), header: c.Response().Header(), last: r.Close,
		heard: make(chan struct{}),
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		ahead, _ := buffered.Reader.Peek(n)
		p.ahead = bytes.Clone(ahead)
	}
	ctx, gone := context.WithCancel(s.live.ctx)
	ec := c.Echo().NewContext(r, p)
	ec.SetPath(c.Path())
	parked := &call{Context: ec, op: c.op, ctx: ctx, who: c.who, parked: true}
	s.live.park(p)
	go p.listen(gone)
	go func() {
		defer gone()
		p.run(parked, ended)
	}()
	return errParked
}

// parkedPoll is a poll that waits on a connection of its own. It is the
// http.ResponseWriter of the one answer.
type parkedPoll struct {
	server *Server
	conn   net.Conn
	ahead  []byte        // what the client sent behind its request; listen's until heard
	heard  chan struct{} // closed when listen has ended
	began  time.Time
	last   bool // the connection ends with the answer

	header http.Header
	answer []byte
}

// Header implements http.ResponseWriter.
func (p *parkedPoll) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *parkedPoll) WriteHeader(status int) {
	p.last = p.last || p.server.draining.Load() || p.header.Get("Connection") == "close"
	p.answer = append(p.answer, "HTTP/1.1 "...)
	p.answer = strconv.AppendInt(p.answer, int64(status), 10)
	p.answer = append(p.answer, ' ')
	p.answer = append(p.answer, http.StatusText(status)...)
	p.answer = append(p.answer, "\r\n"...)
	if p.last {
		p.answer = append(p.answer, "Connection: close\r\n"...)
	}
	p.answer = appendHeaders(p.answer, p.header)
}

// Write implements http.ResponseWriter.
func (p *parkedPoll) Write(b []byte) (int, error) {
	p.answer = append(p.answer, b...)
	return len(b), nil
}

// SetWriteDeadline is for http.ResponseController.
func (p *parkedPoll) SetWriteDeadline(t time.Time) error { return p.conn.SetWriteDeadline(t) }

// listen reads until the next request begins, or the client is gone: so a poll
// that nobody waits for any more ends at once.
func (p *parkedPoll) listen(gone context.CancelFunc) {
	defer close(p.heard)
	if len(p.ahead) > 0 {
		return
	}
	first := make([]byte, 1)
	n, err := p.conn.Read(first)
	p.ahead = first[:n]
	if err != nil {
		gone()
	}
}

// run waits, answers, and gives the connection back for the next request.
func (p *parkedPoll) run(c *call, wait func(c *call) error) {
	defer p.server.live.unpark(p)
	p.finish(c, wait)
	_, err := p.conn.Write(p.answer)
	p.answer, p.header = nil, nil
	// A new connection has to send its request soon; one that is kept need not.
	idle := time.Now().Add(p.server.cfg.IdleTimeout)
	if err != nil || p.last {
		idle = past
	}
	_ = p.conn.SetReadDeadline(idle)
	if !p.server.live.keep(p) {
		_ = p.conn.SetReadDeadline(past)
	}
	<-p.heard
	switch {
	case err != nil || p.last:
		hangUp(p.conn, err == nil)
	case len(p.ahead) == 0:
		_ = p.conn.Close()
	default:
		_ = p.conn.SetDeadline(time.Time{})
		p.server.cfg.Returns.give(&returnedConn{Conn: p.conn, ahead: p.ahead})
	}
}

// finish does what the handler and the middleware around it would have done.
func (p *parkedPoll) finish(c *call, wait func(c *call) error) {
	defer func() {
		if r := recover(); r != nil {
			p.server.fail(c, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
		p.server.logAccess(c, time.Since(p.began))
	}()
	if err := wait(c); err != nil {
		p.server.fail(c, err)
	}
}

// park counts a poll whose connection is its own; begin has counted its user's.
func (l *live) park(p *parkedPoll) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running.Add(1)
	l.parked[p] = false
}

func (l *live) unpark(p *parkedPoll) {
	l.mu.Lock()
	delete(l.parked, p)
	l.mu.Unlock()
	l.running.Done()
}

// keep notes that a poll is answered and its connection waits for a request,
// which close puts an end to; false when it has.
func (l *live) keep(p *parkedPoll) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parked[p] = true
	return !l.closing
}

// returnedConn is a connection of which something has been read already.
type returnedConn struct {
	net.Conn
	ahead []byte
}

// Read implements net.Conn.
func (c *returnedConn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite lets hangUp end a stream on a connection that was given back.
func (c *returnedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
