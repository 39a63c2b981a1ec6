package netfault

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout bounds reaching the server behind the proxy.
const dialTimeout = 10 * time.Second

// Proxy listens on a free port of the loopback address and carries every
// connection to one server, which may go away and come back. Its methods may be
// called from any goroutine.
type Proxy struct {
	listener net.Listener
	target   string
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	group    sync.WaitGroup
	struck   [kinds]atomic.Int64

	mu     sync.Mutex
	choose func(n int64) Fault
	opened int64
	links  map[*link]struct{}
}

// New starts a proxy before the server at target (host:port). Nothing goes
// wrong until Weather is called.
func New(target string) (*Proxy, error) {
	ctx, stop := context.WithCancel(context.Background())
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, err
	}
	p := &Proxy{
		listener: listener, target: target, ctx: ctx, stop: stop,
		choose: func(int64) Fault { return Fault{} }, links: map[*link]struct{}{},
	}
	p.group.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Weather says what happens to connections from now on: choose is asked once
// for each, with its number, counted from 0. Open connections keep their fault.
func (p *Proxy) Weather(choose func(n int64) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choose = choose
}

// Calm ends all faults, also those of open connections: what was held back
// passes at once.
func (p *Proxy) Calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choose = func(int64) Fault { return Fault{} }
	for l := range p.links {
		l.calmOnce.Do(func() { close(l.calm) })
	}
}

// Cut ends every open connection, and returns how many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut(false)
	}
	return len(p.links)
}

// Struck is how often a fault of a kind has struck.
func (p *Proxy) Struck(k Kind) int64 {
	if k < 0 || int(k) >= kinds {
		panic(fmt.Sprintf("netfault: no %v", k))
	}
	return p.struck[k].Load()
}

// Close ends every connection and waits for all that was going on.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.stop()
	p.Cut()
	p.group.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if p.ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			// Out of files, most likely: it passes when connections end.
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-p.ctx.Done():
				return
			}
		}
		p.mu.Lock()
		fault := p.choose(p.opened)
		p.opened++
		l := &link{proxy: p, fault: fault, client: conn, calm: make(chan struct{}), done: make(chan struct{})}
		p.links[l] = struct{}{}
		p.mu.Unlock()
		p.group.Go(func() {
			l.run()
			p.mu.Lock()
			delete(p.links, l)
			p.mu.Unlock()
		})
	}
}
