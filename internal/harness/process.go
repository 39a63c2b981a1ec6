package harness

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdline/internal/subprocess"
)

// process is a program that was started, and what it writes.
type process struct {
	tb     testing.TB
	argv   []string
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	exited chan struct{}
}

func newProcess(tb testing.TB, env, argv []string) process {
	p := process{tb: tb, argv: argv, cmd: command(argv[0], env, argv[1:]...), stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	return p
}

// command prepares the program with an environment in which no setting is left over.
func command(path string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:noctx // tests end it themselves
	cmd.Env = append(subprocess.Environ(os.Environ()), env...)
	cmd.SysProcAttr = subprocess.Attributes()
	return cmd
}

func (p *process) start() {
	p.tb.Helper()
	if err := p.cmd.Start(); err != nil {
		p.tb.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the status says it all
		close(p.exited)
	}()
}

// end kills it, if it still runs, when the test ends.
func (p *process) end() {
	p.Kill()
	if strings.Contains(p.stderr.String(), "WARNING: DATA RACE") {
		p.tb.Errorf("%v has a data race", p.argv)
	}
}

// Output is what it has written to standard output so far.
func (p *process) Output() string { return p.stdout.String() }

// Exited is closed when it has ended, and all that it wrote is here.
func (p *process) Exited() <-chan struct{} { return p.exited }

// Kill ends it as a crash would (SIGKILL) and returns when it is gone.
func (p *process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

// Signal sends a signal and returns at once.
func (p *process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) } // it may have ended

// Pid is the process id.
func (p *process) Pid() int { return p.cmd.Process.Pid }

// Wait returns its status once it has ended by itself; -1 if by a signal.
func (p *process) Wait() int {
	p.tb.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.tb.Fatalf("%v does not end; it shows\n%.4000s", p.argv, p.Output())
	}
	return p.status()
}

// status is valid once it has ended.
func (p *process) status() int { return p.cmd.ProcessState.ExitCode() }
