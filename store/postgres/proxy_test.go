package postgres_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a node and PostgreSQL and can drop the answer to what
// commits: the server has committed, the node never hears of it.
type proxy struct {
	upstream string
	listener net.Listener
	commit   []byte // is in the message that commits
	// dropCommits: how many answers to commits are still to be swallowed, with
	// the connection cut in their place.
	dropCommits atomic.Int32
	dropped     atomic.Int32
	conns       sync.WaitGroup
}

// commitStatement is the simple query that ends a transaction.
const commitStatement = "COMMIT\x00"

// newProxy returns the proxy and the database's URL through it. What contains
// commit counts as a commit.
func newProxy(t *testing.T, direct, commit string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{upstream: u.Host, listener: listener, commit: []byte(commit)}
	p.conns.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.conns.Wait()
	})
	u.Host = listener.Addr().String()
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.conns.Go(func() { p.relay(client, server) })
	}
}

// relay copies both ways until one side ends. A commit in the client's bytes
// arms the answer's copier, which cuts instead of delivering.
func (p *proxy) relay(client, server net.Conn) {
	var armed atomic.Bool
	var both sync.WaitGroup
	both.Go(func() {
		defer func() { _ = server.Close(); _ = client.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if n > 0 {
				if bytes.Contains(buf[:n], p.commit) && p.dropCommits.Add(-1) >= 0 {
					armed.Store(true)
				}
				if _, err := server.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	both.Go(func() {
		defer func() { _ = server.Close(); _ = client.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if armed.Load() && n > 0 {
				p.dropped.Add(1)
				return
			}
			if n > 0 {
				if _, err := client.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	both.Wait()
}
