package harness

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
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

	process
	config Config
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
			tb.Fatalf("holdline serve ended with status %d before it listened", s.status())
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
	line := append(slices.Clone(c.Under), binary(tb, raceDetector && !c.NoRace),
		"serve", "--database", c.Database, "--listen", c.Listen)
	line = append(line, c.Args...)
	s := &Server{Database: c.Database, process: newProcess(tb, c.Env, line), config: c}
	s.start()
	tb.Cleanup(s.cleanUp)
	return s
}

func (s *Server) cleanUp() {
	s.end()
	if s.tb.Failed() {
		s.tb.Logf("the server's log (%s):\n%s", s.URL, s.Logs())
	}
}

// Terminate asks the server to stop (SIGTERM) and returns at once; see Wait.
func (s *Server) Terminate() { s.Signal(syscall.SIGTERM) }

// Again starts the server anew after it has ended, on the same database and
// the same port, and returns when it answers.
func (s *Server) Again() *Server {
	s.tb.Helper()
	<-s.exited
	c := s.config
	c.Listen = strings.TrimPrefix(s.URL, "http://")
	return Start(s.tb, c)
}

// Logs is what the server has written to standard error so far.
func (s *Server) Logs() string { return s.stderr.String() }

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
