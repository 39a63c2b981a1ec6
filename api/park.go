package api

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

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
	Ready() poller.Wake
	Close()
}

// pollStep answers a poll that was woken, or finds that it has to wait on.
type pollStep func(c *call, why poller.Wake) (answered bool, err error)

// park runs the rest of a poll that live.begin has let in: on a goroutine of its
// own that has the connection for itself or, where that cannot be taken over and
// given back (TLS, HTTP/2, HTTP/1.0, a request with a body, no Returns), here on
// the handler's. In the end it closes on and ends what begin began.
func (s *Server) park(c *call, on waiter, wait time.Duration, step pollStep) error {
	p := &parkedPoll{server: s, on: on, step: step, echo: c.Echo(), op: c.op, who: c.who, began: time.Now()}
	on.Watch(poller.Watch{Wait: wait, Ring: p.ring, Coalesce: c.coalesce()})
	// Here, since it takes a deep stack, which a goroutine that waits would keep.
	if err := s.checkSession(c); err != nil {
		p.end()
		return err
	}
	if err := p.takeOver(c); err != nil {
		defer p.end()
		return p.stay(c)
	}
	s.live.park(p)
	go p.run()
	return errParked
}

// parkedPoll is a poll that waits. On a connection of its own it is the
// http.ResponseWriter of the one answer, and holds no more of its request than
// the answer needs: it is most of what a waiting client costs.
//
// One goroutine waits for the client, in a read that ends when the client
// leaves, or asks for more already; what the poll waits for ends it too, by a
// read deadline.
type parkedPoll struct {
	server *Server
	on     waiter
	step   pollStep
	echo   *echo.Echo
	op     *operation
	who    Identity
	asked  asked
	began  time.Time

	mu      sync.Mutex
	bell    chan struct{} // rung in place of the deadline while nothing is to be read
	reading bool          // a ring puts an end to the read
	rung    bool          // and has

	conn  net.Conn
	ahead []byte  // what the client sent behind its request
	next  [1]byte // the first of that, usually
	last  bool    // the connection ends with the answer

	header http.Header
	answer []byte
}

// asked is what an answer needs of a request that net/http has let go.
type asked struct {
	route, uri, accept, from string
	authorized, gzip         bool
}

func (a *asked) request() *http.Request {
	r := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RequestURI: a.uri, RemoteAddr: a.from, Header: make(http.Header), Body: http.NoBody,
	}
	r.URL, _ = url.ParseRequestURI(a.uri) // net/http has
	if a.accept != "" {
		r.Header.Set("Accept", a.accept)
	}
	if a.gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	if a.authorized {
		r.Header.Set("Authorization", "Bearer") // whose, is known
	}
	return r
}

// errStays says that a poll has to wait on its handler's goroutine.
var errStays = errors.New("the connection cannot be taken over")

// takeOver makes the connection the poll's own.
func (p *parkedPoll) takeOver(c *call) error {
	r := c.Request()
	if p.server.cfg.Returns == nil || c.parked || r.TLS != nil || r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return errStays
	}
	if r.ContentLength != 0 {
		// Nobody has read the body: what follows the head is not the next request.
		return errStays
	}
	conn, buffered, err := http.NewResponseController(c.Response()).Hijack()
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{}) // net/http may have set some
	conn, unread := unwrap(conn)
	p.conn, p.last = conn, r.Close
	p.asked = asked{
		route: c.Path(), uri: r.RequestURI, accept: strings.Join(r.Header.Values("Accept"), ","),
		from: net.JoinHostPort(c.RealIP(), "0"), authorized: r.Header.Get("Authorization") != "", gzip: acceptsGzip(r.Header),
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		ahead, _ := buffered.Reader.Peek(n)
		p.ahead = bytes.Clone(ahead)
	}
	p.ahead = append(p.ahead, unread...)
	return nil
}

// end is the end of waiting.
func (p *parkedPoll) end() {
	p.on.Close()
	p.server.live.done(p.who.User.ID)
}

// stay waits on the handler's goroutine.
func (p *parkedPoll) stay(c *call) error {
	for {
		if answered, err := p.step(c, p.listen(c.ctx.Done())); answered || err != nil {
			return err
		}
	}
}

// ring is what on calls when there may be something.
func (p *parkedPoll) ring() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.bell != nil:
		select {
		case p.bell <- struct{}{}:
		default:
		}
	case p.reading:
		p.rung = true
		_ = p.conn.SetReadDeadline(past)
	}
}

// listen waits for the bell, which is rung from now on.
func (p *parkedPoll) listen(done <-chan struct{}) poller.Wake {
	p.mu.Lock()
	if p.bell == nil {
		p.bell = make(chan struct{}, 1)
	}
	p.mu.Unlock()
	for {
		if why := p.on.Ready(); why != 0 {
			return why
		}
		select {
		case <-p.bell:
		case <-done:
			return poller.WakeGone
		}
	}
}

// read says that a ring is to put an end to a read, or is not any more.
func (p *parkedPoll) read(reading bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = reading
	if p.rung {
		p.rung = false
		_ = p.conn.SetReadDeadline(time.Time{})
	}
}

// wait waits until there is a reason to wake, and for no longer than the client.
func (p *parkedPoll) wait() poller.Wake {
	for len(p.ahead) == 0 {
		p.read(true)
		if why := p.on.Ready(); why != 0 {
			p.read(false)
			return why
		}
		n, err := p.conn.Read(p.next[:])
		p.read(false)
		p.ahead = p.next[:n]
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || p.server.live.ctx.Err() != nil) {
			return poller.WakeGone
		}
	}
	// The client has sent its next request; its connection tells no more.
	return p.listen(p.server.live.ctx.Done())
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

// run waits, answers, and gives the connection back for the next request.
func (p *parkedPoll) run() {
	defer p.server.live.unpark(p)
	for answered := false; !answered; {
		answered = p.reply(p.wait())
	}
	p.end()
	_, err := p.conn.Write(p.answer)
	p.answer, p.header = nil, nil
	if err != nil || p.last {
		hangUp(p.conn, err == nil)
		return
	}
	// A new connection has to send its request soon; one that is kept need not.
	_ = p.conn.SetReadDeadline(time.Now().Add(p.server.cfg.IdleTimeout))
	if !p.server.live.keep(p) {
		_ = p.conn.SetReadDeadline(past)
	}
	if len(p.ahead) == 0 {
		n, _ := p.conn.Read(p.next[:])
		p.ahead = p.next[:n]
	}
	if len(p.ahead) == 0 {
		_ = p.conn.Close()
		return
	}
	_ = p.conn.SetDeadline(time.Time{})
	p.server.cfg.Returns.give(&returnedConn{Conn: p.conn, ahead: p.ahead})
}

// reply makes the call anew for one step, with what the middleware around the
// handler would have done; false: the poll has to wait on.
func (p *parkedPoll) reply(why poller.Wake) (answered bool) {
	p.header = make(http.Header)
	setCommonHeaders(p.header)
	ec := p.echo.NewContext(p.asked.request(), p)
	ec.SetPath(p.asked.route)
	c := &call{Context: ec, op: p.op, ctx: p.server.live.ctx, who: p.who, parked: true}
	defer func() {
		if r := recover(); r != nil {
			p.server.fail(c, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
			answered = true
		}
		if answered {
			p.server.logAccess(c, time.Since(p.began))
		}
	}()
	answered, err := p.step(c, why)
	if err != nil {
		p.server.fail(c, err)
		return true
	}
	return answered
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

// unwrap is a connection without what was put around it when it was last given
// back, and what is left to be read of that. A client may poll all day on one
// connection, so nothing of its earlier polls may stay.
func unwrap(conn net.Conn) (bare net.Conn, unread []byte) {
	if returned, ok := conn.(*returnedConn); ok {
		return returned.Conn, returned.ahead
	}
	return conn, nil
}

// Read implements net.Conn.
func (c *returnedConn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil // it may lie in the poll that was answered
		}
		return n, nil
	}
	return c.Conn.Read(b)
}
