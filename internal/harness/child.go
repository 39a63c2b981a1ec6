package harness

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Child is a program that runs beside a test: its input stays open, and what it
// writes is kept.
type Child struct {
	tb     testing.TB
	argv   []string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *output
	stderr *output
	exited chan struct{}
}

// StartChild starts a program with its arguments, and with further variables in
// the environment. It is killed when the test ends, if it still runs then; a test
// that fails shows what it has written to standard error.
func StartChild(tb testing.TB, env []string, argv ...string) *Child {
	tb.Helper()
	// A program that it has started itself may hold its output open for longer than it lives.
	const orphans = 5 * time.Second
	c := &Child{
		tb: tb, argv: argv, cmd: command(argv[0], env, argv[1:]...), stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{}),
	}
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = c.stdout, c.stderr, orphans
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait() // the status says it all
		close(c.exited)
	}()
	tb.Cleanup(c.cleanUp)
	return c
}

func (c *Child) cleanUp() {
	c.Kill()
	if strings.Contains(c.Errors(), "WARNING: DATA RACE") {
		c.tb.Errorf("%v has a data race", c.argv)
	}
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

// Output is what it has written to standard output so far.
func (c *Child) Output() string { return c.stdout.String() }

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

// Exited is closed when it has ended, and all that it wrote is here.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Kill ends it at once (SIGKILL) and returns when it is gone.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.exited
}

// Signal sends a signal and returns at once.
func (c *Child) Signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) } // it may have ended

// Wait returns its status once it has ended by itself; -1 if by a signal.
func (c *Child) Wait() int {
	c.tb.Helper()
	select {
	case <-c.exited:
	case <-time.After(patience):
		c.tb.Fatalf("%v does not end; it shows\n%.4000s", c.argv, c.Output())
	}
	return c.cmd.ProcessState.ExitCode()
}

// End closes its standard input and waits for its end.
func (c *Child) End() int {
	c.tb.Helper()
	_ = c.stdin.Close() // it may have ended
	return c.Wait()
}
