package devices

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"holdline/internal/harness"
)

// follower is a client that prints lines as events come.
type follower struct {
	*harness.Child

	t     *testing.T
	name  string
	argv  []string
	taken int // lines of the Child

	got      []string // without the lines "# complete to" and "# missing"
	complete string   // the last of the former
	again    []int    // where in got it was started again
}

// follow starts a client that prints lines.
func follow(t *testing.T, name string, argv ...string) *follower {
	t.Helper()
	f := &follower{t: t, name: name, argv: argv}
	f.start()
	return f
}

func (f *follower) start() {
	f.t.Helper()
	f.Child, f.taken = harness.StartChild(f.t, nil, f.argv...), 0
}

// kill ends it at once (SIGKILL) and takes what it has printed.
func (f *follower) kill() {
	f.Kill()
	f.takeAll()
}

// restart kills it and starts it again.
func (f *follower) restart() {
	f.t.Helper()
	f.kill()
	f.again = append(f.again, len(f.got))
	f.start()
}

// takeAll takes the lines that have come.
func (f *follower) takeAll() {
	for _, line := range f.Lines(f.taken) {
		f.taken++
		f.take(line)
	}
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
	harness.Eventually(f.t, f.name+" comes to this: "+what, func() bool {
		var ended bool
		select {
		case <-f.Exited():
			ended = true
		default:
		}
		for _, line := range f.Lines(f.taken) {
			if holds() {
				return true
			}
			f.taken++
			f.take(line)
		}
		if holds() {
			return true
		}
		if ended {
			f.t.Fatalf("%s ended before this: %s", f.name, what)
		}
		return false
	})
}

// exit waits for its end and returns the status.
func (f *follower) exit() int {
	f.t.Helper()
	status := f.Wait()
	f.takeAll()
	return status
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
