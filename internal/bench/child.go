package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"holdline/internal/subprocess"
)

// child is a server in a process of its own.
type child struct {
	name   string
	addr   string // host:port it listens on
	cmd    *exec.Cmd
	out    *announcement
	cancel context.CancelFunc
	exited chan struct{} // closed when err is set
	err    error
}

// Times that a child may take.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 60 * time.Second // a drain spreads the ends of streams out
)

// startChild runs the program and waits until it has printed its URL.
func startChild(ctx context.Context, name, program string, args ...string) (*child, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &child{name: name, out: newAnnouncement(), cancel: cancel, exited: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, program, args...)
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = stopTimeout
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	c.cmd.Env = subprocess.Environ(os.Environ()) // what is measured is the server as it comes, but for its flags
	endWithParent(c.cmd)
	if err := c.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	select {
	case c.addr = <-c.out.addr:
		return c, nil
	case <-c.exited:
		cancel()
		return nil, fmt.Errorf("%s ended before it listened (%w); it said:\n%s", name, errors.Join(c.err, ctx.Err()), c.out.tail())
	case <-time.After(startTimeout):
		return nil, errors.Join(fmt.Errorf("%s did not say within %v where it listens; it said:\n%s", name, startTimeout, c.out.tail()), c.stop())
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop ends the child by SIGTERM and waits for it. Anything but exit status 0
// is an error: a server that cannot stop cleanly has not passed.
func (c *child) stop() error {
	select {
	case <-c.exited:
		return fmt.Errorf("%s ended by itself (%s); its last words:\n%s", c.name, fmt.Sprint(c.err), c.out.tail())
	default:
	}
	c.cancel()
	<-c.exited
	// Wait reports the cancelled context if the process ended well.
	if c.err != nil && (!errors.Is(c.err, context.Canceled) || !c.cmd.ProcessState.Success()) {
		return fmt.Errorf("%s did not stop cleanly (%w); its last words:\n%s", c.name, c.err, c.out.tail())
	}
	return nil
}

// announcement takes what a child prints: it finds the URL, once, and keeps
// the end of the text for error messages.
type announcement struct {
	addr chan string // receives host:port once

	mu    sync.Mutex
	text  []byte
	found bool
}

const keptOutput = 8 << 10

var announcedURL = regexp.MustCompile(`https?://([0-9.]+:[0-9]+|\[[0-9a-fA-F:]+\]:[0-9]+)[^0-9]`)

func newAnnouncement() *announcement { return &announcement{addr: make(chan string, 1)} }

func (a *announcement) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.text = append(a.text, p...)
	if !a.found {
		if m := announcedURL.FindSubmatch(a.text); m != nil {
			a.found = true
			a.addr <- string(m[1])
		}
	}
	if over := len(a.text) - keptOutput; over > keptOutput {
		a.text = append(a.text[:0], a.text[over:]...)
	}
	return len(p), nil
}

func (a *announcement) tail() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return bytes.Clone(a.text[max(0, len(a.text)-keptOutput):])
}
