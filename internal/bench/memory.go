package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What TellMemory is asked.
const (
	askMemory    = 'm' // as it is
	askCollected = 'c' // with the garbage collected, and what is free given back
)

// TellMemory tells everybody who connects how much memory Go has from the
// system, in bytes, until the listener is closed: heap, garbage, stacks and the
// runtime's own, but not the pages of the database that SQLite keeps, which are
// bounded, and come and go with its connections.
func TellMemory(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		var ask [1]byte
		if _, err := io.ReadFull(conn, ask[:]); err == nil {
			if ask[0] == askCollected {
				debug.FreeOSMemory()
			}
			_, _ = fmt.Fprintln(conn, goMemory()) // who asks sees what is missing
		}
		_ = conn.Close()
	}
}

func goMemory() uint64 {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64() - all[1].Value.Uint64()
}

// readMemory asks TellMemory, and answers in KiB.
func readMemory(ctx context.Context, socket string, ask byte) (kib int64, err error) {
	conn, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte{ask}); err != nil {
		return 0, err
	}
	if _, err := fmt.Fscanln(conn, &kib); err != nil {
		return 0, fmt.Errorf("asking the server for its memory: %w", err)
	}
	return kib >> 10, nil
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
