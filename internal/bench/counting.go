package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"holdline/store"
)

// Counting is a backend that counts what is asked of it. What the horizon and
// the sends' own lane do is not counted.
type Counting struct {
	store.Backend
	reads, writes, statements atomic.Int64
}

// Counts is what a Counting has counted: read transactions, the statements in
// them (without BEGIN and COMMIT), and write transactions.
type Counts struct {
	Reads      int64 `json:"reads"`
	Statements int64 `json:"statements"`
	Writes     int64 `json:"writes"`
}

func (c Counts) minus(o Counts) Counts {
	return Counts{c.Reads - o.Reads, c.Statements - o.Statements, c.Writes - o.Writes}
}

// Read implements store.Backend.
func (c *Counting) Read(ctx context.Context, fn func(tx *store.Tx) error) error {
	c.reads.Add(1)
	return c.Backend.Read(store.WithQueryLog(ctx, func(string, []any) { c.statements.Add(1) }), fn)
}

// Write implements store.Backend.
func (c *Counting) Write(ctx context.Context, fn func(tx *store.Tx) error, committed func()) error {
	c.writes.Add(1)
	return c.Backend.Write(ctx, fn, committed)
}

// Counts returns what has been counted so far.
func (c *Counting) Counts() Counts {
	return Counts{c.reads.Load(), c.statements.Load(), c.writes.Load()}
}

const countsFormat = "%d %d %d\n"

// Answer tells what has been counted.
func (c *Counting) Answer(conn net.Conn) {
	n := c.Counts()
	_, _ = fmt.Fprintf(conn, countsFormat, n.Reads, n.Statements, n.Writes) // who asks sees what is missing
}

// readCounts asks Answer.
func readCounts(ctx context.Context, socket string) (n Counts, err error) {
	err = ask(ctx, socket, func(conn net.Conn) error {
		text, err := io.ReadAll(conn)
		if err != nil {
			return err
		}
		if _, err := fmt.Sscanf(string(text), countsFormat, &n.Reads, &n.Statements, &n.Writes); err != nil {
			return fmt.Errorf("the server's counts are %q: %w", text, err)
		}
		return nil
	})
	return n, err
}
