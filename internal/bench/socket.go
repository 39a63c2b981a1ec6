package bench

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Tell has everybody answered who connects to a unix socket, one after the
// other, until stop is called.
func Tell(ctx context.Context, path string, answer func(conn net.Conn)) (stop func(), err error) {
	socket, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			answer(conn)
			_ = conn.Close()
		}
	}()
	return func() { _ = socket.Close() }, nil
}

// ask connects to a socket of Tell.
func ask(ctx context.Context, path string, talk func(conn net.Conn) error) (err error) {
	conn, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	return talk(conn)
}

// withSocket runs fn beside a server that was told of a socket by a flag of
// `bench serve`.
func (w *world) withSocket(ctx context.Context, flag string, fn func(server *child, socket string) error) (err error) {
	dir, err := os.MkdirTemp("", "holdline-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	socket := filepath.Join(dir, "socket")
	args := append([]string{"bench", "serve", flag, socket}, w.serveFlags()...)
	return w.serving(ctx, args, func(server *child) error { return fn(server, socket) })
}
