package netfault

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// pieceBytes is the most that one read takes.
const pieceBytes = 16 << 10

// link is one connection through the proxy.
type link struct {
	proxy  *Proxy
	fault  Fault
	client net.Conn

	calmOnce sync.Once
	calm     chan struct{} // closed: no fault from now on

	cutOnce sync.Once
	done    chan struct{} // closed when the link is cut
	server  net.Conn      // set before the pumps begin
	mu      sync.Mutex    // guards server against cut

	requested atomic.Bool // a request has passed since the last piece of an answer
	strikes   sync.Once
}

// run carries the connection until an end closes it or the fault does.
func (l *link) run() {
	if l.fault.Kind == Refuse {
		l.strike()
		l.cut(l.fault.Reset)
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(l.proxy.ctx, "tcp", l.proxy.target)
	if err != nil {
		l.cut(true)
		return
	}
	l.mu.Lock()
	l.server = server
	l.mu.Unlock()
	select {
	case <-l.done: // it was cut while the server was being reached
		_ = server.Close()
		return
	default:
	}
	var group sync.WaitGroup
	group.Go(func() { l.pump(l.client, server, l.request()) })
	group.Go(func() { l.pump(server, l.client, l.answer()) })
	group.Wait()
}

// cut ends both connections, the client's by a reset if asked to.
func (l *link) cut(reset bool) {
	l.cutOnce.Do(func() {
		close(l.done)
		if tcp, ok := l.client.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0) // an end without reset will do
		}
		_ = l.client.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.server != nil {
			_ = l.server.Close()
		}
	})
}

// strike counts the fault, once a connection.
func (l *link) strike() {
	l.strikes.Do(func() { l.proxy.struck[l.fault.Kind].Add(1) })
}

// kind is the fault that is still on.
func (l *link) kind() Kind {
	select {
	case <-l.calm:
		return None
	default:
		return l.fault.Kind
	}
}

// pause waits, or returns early when faults end (true) or the link is cut (false).
func (l *link) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.calm:
		return true
	case <-l.done:
		return false
	}
}

// carrier passes a piece on; a nil piece is a moment without one, for what it
// holds back. It returns false when the link is to end, and how soon it wants
// to be called again even without a piece (0: not).
type carrier func(piece []byte, to net.Conn) (goOn bool, again time.Duration)

// pump reads from one end and gives every piece to the carrier, until either
// end closes; what is held back then passes first.
func (l *link) pump(from, to net.Conn, carry carrier) {
	defer l.cut(false)
	pieces := make(chan []byte)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer l.cut(false) // ends the reading
	reading.Go(func() {
		defer close(pieces)
		for {
			buf := make([]byte, pieceBytes)
			n, err := from.Read(buf)
			if n > 0 {
				select {
				case pieces <- buf[:n]:
				case <-l.done:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	var timer <-chan time.Time
	calm := l.calm
	for {
		var piece []byte
		var open bool
		select {
		case piece, open = <-pieces:
			if !open {
				l.finish(to, carry)
				return
			}
		case <-timer:
		case <-calm:
			calm = nil
		case <-l.done:
			return
		}
		goOn, again := carry(piece, to)
		if !goOn {
			return
		}
		timer = nil
		if again > 0 {
			timer = time.After(again)
		}
	}
}

// finish lets what is still held back pass, at its time.
func (l *link) finish(to net.Conn, carry carrier) {
	for {
		goOn, again := carry(nil, to)
		if !goOn || again == 0 || !l.pause(again) {
			return
		}
	}
}

func write(to net.Conn, piece []byte) bool {
	if len(piece) == 0 {
		return true
	}
	_, err := to.Write(piece)
	return err == nil
}
