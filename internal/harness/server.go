package harness

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdline/internal/subprocess"
)

// patience bounds every wait for something that must happen soon. It is long
// because machines that run tests can be slow; nothing waits for it in vain.
const patience = time.Minute

// Config says how to run the server; the zero value will do.
type Config struct {
	// Database is what --database takes; empty for a fresh SQLite file.
	Database string
	// Listen is what --listen takes; empty for a free port on loopback.
	Listen string
	// Args are further arguments of serve.
	Args []string
	// Env are further variables, NAME=value. Of this process's own environment
	// the child gets all but HOLDLINE_ variables.
	Env []string
	// Under is a program, with arguments, that is given the server's command
	// line and becomes the server by exec, as strace -D does.
	Under []string
	// NoRace runs the program without the race detector, for tests about time.
	NoRace bool
}

// Server is a running holdline serve.
type Server struct {
	URL      string // http://127.0.0.1:PORT
	Database string // as given to --database

	tb     testing.TB
	config Config
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	exited chan struct{}
	status int // valid once exited is closed
}

var announced = regexp.MustCompile(`(?m)^Holdline is listening at (http://\S+)`)

// Start runs a server and returns when it answers. It is killed when the test
// ends, if it still runs then.
func Start(tb testing.TB, c Config) *Server {
	tb.Helper()
	s := Launch(tb, c)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		changed := s.stdout.changed()
		if m := announced.FindStringSubmatch(s.stdout.String()); m != nil {
			s.URL = m[1]
			return s
		}
		select {
		case <-changed:
		case <-s.exited:
			tb.Fatalf("holdline serve ended with status %d before it listened", s.status)
		case <-deadline.C:
			tb.Fatal("holdline serve did not say where it listens")
		}
	}
}

// Launch is Start without waiting, for a server that is meant to fail.
func Launch(tb testing.TB, c Config) *Server {
	tb.Helper()
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(tb.TempDir(), "holdline.db")
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	s := &Server{
		Database: c.Database, tb: tb, config: c,
		stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{}),
	}
	line := append(slices.Clone(c.Under), binary(tb, raceDetector && !c.NoRace),
		"serve", "--database", c.Database, "--listen", c.Listen)
	line = append(line, c.Args...)
	s.cmd = command(line[0], c.Env, line[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.stderr
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the status says it all
		s.status = s.cmd.ProcessState.ExitCode()
		close(s.exited)
	}()
	tb.Cleanup(s.cleanUp)
	return s
}

// command prepares the program with an environment in which no setting is left over.
func command(path string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:noctx // tests end it themselves
	cmd.Env = append(subprocess.Environ(os.Environ()), env...)
	cmd.SysProcAttr = subprocess.Attributes()
	return cmd
}

func (s *Server) cleanUp() {
	s.signal(syscall.SIGKILL)
	<-s.exited
	if strings.Contains(s.Logs(), "WARNING: DATA RACE") {
		s.tb.Error("the server has a data race")
	}
	if s.tb.Failed() {
		s.tb.Logf("the server's log (%s):\n%s", s.URL, s.Logs())
	}
}

// signal sends a signal, unless the server has ended already.
func (s *Server) signal(sig syscall.Signal) {
	select {
	case <-s.exited:
	default:
		_ = s.cmd.Process.Signal(sig) // it may end at this very moment
	}
}

// Kill ends the server as a crash would (SIGKILL) and returns when it is gone.
func (s *Server) Kill() {
	s.signal(syscall.SIGKILL)
	<-s.exited
}

// Terminate asks the server to stop (SIGTERM) and returns at once; see Wait.
func (s *Server) Terminate() { s.signal(syscall.SIGTERM) }

// Signal sends any signal.
func (s *Server) Signal(sig syscall.Signal) { s.signal(sig) }

// Exited is closed when the server has ended.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Wait returns the exit status once the server has ended; -1 if by a signal.
func (s *Server) Wait() int {
	s.tb.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.tb.Fatal("holdline serve does not end")
	}
	return s.status
}

// Again starts the server anew after it has ended, on the same database and
// the same port, and returns when it answers.
func (s *Server) Again() *Server {
	s.tb.Helper()
	<-s.exited
	c := s.config
	c.Listen = strings.TrimPrefix(s.URL, "http://")
	return Start(s.tb, c)
}

// Pid is the process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Logs is what the server has written to standard error so far.
func (s *Server) Logs() string { return s.stderr.String() }

// Output is what the server has written to standard output so far.
func (s *Server) Output() string { return s.stdout.String() }

// WaitLog returns when the log holds text.
func (s *Server) WaitLog(text string) {
	s.tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		changed := s.stderr.changed()
		if strings.Contains(s.Logs(), text) {
			return
		}
		select {
		case <-changed:
		case <-s.exited:
			s.tb.Fatalf("the server ended without logging %q", text)
		case <-deadline.C:
			s.tb.Fatalf("the server does not log %q", text)
		}
	}
}

// output collects what a child writes, and tells when there is more.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // closed, and replaced, at each write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.more
}
