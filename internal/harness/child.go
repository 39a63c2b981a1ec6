package harness

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// Child is a program that runs beside a test: its input stays open, and what it
// writes is kept.
type Child struct {
	process
	stdin io.WriteCloser
}

// StartChild starts a program with its arguments, and with further variables in
// the environment. It is killed when the test ends, if it still runs then; a test
// that fails shows what it has written to standard error.
func StartChild(tb testing.TB, env []string, argv ...string) *Child {
	tb.Helper()
	// A program that it has started itself may hold its output open for longer than it lives.
	const orphans = 5 * time.Second
	c := &Child{process: newProcess(tb, env, argv)}
	c.cmd.WaitDelay = orphans
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	c.start()
	tb.Cleanup(c.cleanUp)
	return c
}

func (c *Child) cleanUp() {
	c.end()
	if c.tb.Failed() {
		c.tb.Logf("%v wrote:\n%.4000s", c.argv, c.Errors())
	}
}

// Write writes lines to its standard input.
func (c *Child) Write(lines ...string) error {
	_, err := io.WriteString(c.stdin, strings.Join(lines, "\n")+"\n")
	return err
}

// Type is Write that must succeed.
func (c *Child) Type(lines ...string) {
	c.tb.Helper()
	if err := c.Write(lines...); err != nil {
		c.tb.Fatal(err)
	}
}

// Errors is what it has written to standard error so far.
func (c *Child) Errors() string { return c.stderr.String() }

// Lines are the whole lines of its standard output so far, but for the first ones.
func (c *Child) Lines(without int) []string {
	lines := strings.Split(c.Output(), "\n")
	return lines[min(without, len(lines)-1) : len(lines)-1]
}

// Shows waits until its standard output holds text n times.
func (c *Child) Shows(text string, n int) {
	c.tb.Helper()
	Eventually(c.tb, fmt.Sprintf("%q is shown", text), func() bool { return strings.Count(c.Output(), text) >= n })
}

// End closes its standard input and waits for its end.
func (c *Child) End() int {
	c.tb.Helper()
	_ = c.stdin.Close() // it may have ended
	return c.Wait()
}
