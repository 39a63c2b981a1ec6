package harness

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Result is how a command ended.
type Result struct {
	Status         int
	Stdout, Stderr string
}

// Run runs the program with arguments to its end, with stdin as its standard
// input, and returns how it ended. The race detector is left out: it takes most
// of a second to start, and short commands have little to race.
func Run(tb testing.TB, stdin string, args ...string) Result {
	tb.Helper()
	return RunEnv(tb, nil, stdin, args...)
}

// RunEnv is Run with further variables in the environment.
func RunEnv(tb testing.TB, env []string, stdin string, args ...string) Result {
	tb.Helper()
	cmd := command(binary(tb, false), env, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	overdue := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }) // ended already, at worst
	err := cmd.Wait()
	if !overdue.Stop() {
		tb.Fatalf("holdline %s does not end\n%s", strings.Join(args, " "), &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return Result{Status: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// Eventually polls an observable condition until it holds, and fails the test
// if that takes too long. what names it.
func Eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("this does not come true: %s", what)
		}
	}
}
