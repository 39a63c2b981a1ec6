package postgres

import (
	"context"
	"net"
	"time"
)

// dialer opens connections that break when the server falls silent in the
// middle of an exchange: a host that vanished without a packet would else hold
// the lane for as long as TCP is patient. A pooled connection that is idle
// reads nothing and is not affected.
type dialer struct{ silence time.Duration }

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var inner net.Dialer
	conn, err := inner.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &impatientConn{Conn: conn, silence: d.silence}, nil
}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

type impatientConn struct {
	net.Conn
	silence time.Duration
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
