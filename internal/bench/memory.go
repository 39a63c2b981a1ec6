package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"runtime/metrics"
)

// What TellMemory is asked.
const (
	askMemory    = 'm' // as it is
	askCollected = 'c' // with the garbage collected, and what is free given back
)

// AnswerMemory tells how much memory Go has from the system, in bytes: heap,
// garbage, stacks and the runtime's own, but not the pages of the database that
// SQLite keeps, which are bounded, and come and go with its connections.
func AnswerMemory(conn net.Conn) {
	var asked [1]byte
	if _, err := io.ReadFull(conn, asked[:]); err != nil {
		return
	}
	if asked[0] == askCollected {
		debug.FreeOSMemory()
	}
	_, _ = fmt.Fprintln(conn, goMemory()) // who asks sees what is missing
}

func goMemory() uint64 {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64() - all[1].Value.Uint64()
}

// readMemory asks AnswerMemory, and answers in KiB.
func readMemory(ctx context.Context, socket string, what byte) (kib int64, err error) {
	var bytes int64
	err = ask(ctx, socket, func(conn net.Conn) error {
		if _, err := conn.Write([]byte{what}); err != nil {
			return err
		}
		_, err := fmt.Fscanln(conn, &bytes)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("asking the server for its memory: %w", err)
	}
	return bytes >> 10, nil
}
