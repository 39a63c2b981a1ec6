package devices

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// maxLine is the longest line that a client prints: 16 KiB of text, escaped.
const maxLine = 128 << 10

// follower is a client that prints lines as events come.
type follower struct {
	t      *testing.T
	name   string
	argv   []string
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	lines  chan string
	ended  chan struct{}

	got      []string // without the lines "# complete to" and "# missing"
	complete string   // the last of the former
	again    []int    // where in got it was started again
}

// follow starts a client that prints lines.
func follow(t *testing.T, name string, argv ...string) *follower {
	t.Helper()
	f := &follower{t: t, name: name, argv: argv}
	f.start()
	t.Cleanup(func() {
		f.kill()
		if t.Failed() && f.stderr.Len() > 0 {
			t.Logf("%s: %.4000s", name, f.stderr)
		}
	})
	return f
}

func (f *follower) start() {
	f.t.Helper()
	f.cmd = exec.Command(f.argv[0], f.argv[1:]...)
	if f.stderr == nil {
		f.stderr = &bytes.Buffer{}
	}
	f.cmd.Stderr = f.stderr
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	lines, ended := make(chan string, 1<<16), make(chan struct{})
	f.lines, f.ended = lines, ended
	go func() {
		defer close(ended)
		defer close(lines)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, maxLine)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
}

// kill ends it at once (SIGKILL) and takes what it has printed.
func (f *follower) kill() {
	_ = f.cmd.Process.Kill() // it may have ended
	for line := range f.lines {
		f.take(line)
	}
	<-f.ended
	_ = f.cmd.Wait() // as it was killed
}

// restart kills it and starts it again.
func (f *follower) restart() {
	f.t.Helper()
	f.kill()
	f.again = append(f.again, len(f.got))
	f.start()
}

func (f *follower) take(line string) {
	if strings.HasPrefix(line, "# complete to ") {
		f.complete = line
		return
	}
	// Events that are late may be called so; they come all the same.
	if strings.HasPrefix(line, "# ") && strings.Contains(line, "missing ") && strings.HasSuffix(line, ": asking for it") {
		return
	}
	f.got = append(f.got, line)
}

// until reads lines until the condition holds.
func (f *follower) until(what string, holds func() bool) {
	f.t.Helper()
	overdue := time.After(patience)
	for !holds() {
		select {
		case line, ok := <-f.lines:
			if !ok {
				f.t.Fatalf("%s ended before this: %s\n%s", f.name, what, f.stderr)
			}
			f.take(line)
		case <-overdue:
			f.t.Fatalf("%s does not come to this: %s; its last lines: %.2000q", f.name, what, f.got[max(0, len(f.got)-3):])
		}
	}
}

// exit waits for its end and returns the status.
func (f *follower) exit() int {
	f.t.Helper()
	overdue := time.AfterFunc(patience, func() { _ = f.cmd.Process.Kill() }) // ended already, at worst
	defer overdue.Stop()
	for line := range f.lines {
		f.take(line)
	}
	<-f.ended
	_ = f.cmd.Wait() // its status says it
	return f.cmd.ProcessState.ExitCode()
}

// once is what it has printed. A client that was killed between printing and
// keeping its place repeats what it printed last; nothing else may come twice.
func (f *follower) once() []string {
	var all []string
	for i := range f.got {
		if slices.Contains(f.again, i) {
			f.again = slices.DeleteFunc(f.again, func(at int) bool { return at == i })
			for j := i; j < len(f.got) && slices.Contains(all, f.got[j]); j++ {
				f.got[j] = ""
			}
		}
		if line := f.got[i]; line != "" {
			all = append(all, line)
		}
	}
	return all
}

// run runs a client to its end.
func run(t *testing.T, argv ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// address is host and port as two arguments.
func address(t *testing.T, hostPort string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		t.Fatal(err)
	}
	return []string{host, port}
}
