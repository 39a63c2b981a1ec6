package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"holdline/internal/subprocess"
	"holdline/internal/torture/netfault"
)

// Times that a server may take. They are long because a machine may be slow.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 60 * time.Second
)

// node is one server as the clients know it.
type node struct {
	name    string
	base    string // http://host:port
	proxy   *netfault.Proxy
	process *process // nil for a server that is not ours
}

// process is a holdline server that the run started, again and again on the
// same port and database. One goroutine at a time uses it.
type process struct {
	name    string
	program string
	args    []string
	env     []string // beside the run's own
	address string   // host:port
	logPath string
	clock   *Clock
	rec     *recorder

	mu       sync.Mutex
	cmd      *exec.Cmd
	exited   chan struct{}
	expected bool // its end is the run's doing
	log      *os.File
}

// newProcess prepares a server on a free port; start starts it.
func newProcess(ctx context.Context, name, program, folder string, args []string, rec *recorder) (*process, error) {
	address, err := subprocess.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, program: program, address: address, logPath: filepath.Join(folder, name+".log"), rec: rec}
	path := filepath.Join(folder, name+".clock")
	p.args = append([]string{"torture", "serve", "--clock", path, "--listen", address}, args...)
	if p.clock, err = OpenClock(path); err != nil {
		return nil, err
	}
	if p.log, err = os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	return p, nil
}

// start runs the server and returns when it answers. It tries again while its
// database is away.
func (p *process) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		exited, err := p.launch()
		if err != nil {
			return err
		}
		if p.answers(ctx, exited) {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("%s does not start within %v; its last words:\n%s", p.name, startTimeout, p.tail()), p.kill())
		}
		pause(ctx, 300*time.Millisecond)
	}
}

func (p *process) launch() (exited chan struct{}, err error) {
	cmd := exec.Command(p.program, p.args...) //nolint:noctx // the run ends it itself
	cmd.Env = append(subprocess.Environ(os.Environ(), "HOLDLINE_TEST_"), p.env...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = subprocess.Attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	exited = make(chan struct{})
	p.mu.Lock()
	p.cmd, p.exited, p.expected = cmd, exited, true
	p.mu.Unlock()
	go func() {
		_ = cmd.Wait() // the state says it all
		p.mu.Lock()
		byItself := !p.expected
		p.mu.Unlock()
		if byItself {
			p.rec.problem("%s ended by itself (%v); its last words:\n%s", p.name, cmd.ProcessState, p.tail())
		}
		close(exited)
	}()
	return exited, nil
}

// answers waits until the server is up; false if it has ended before.
func (p *process) answers(ctx context.Context, exited chan struct{}) bool {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/healthz", nil)
		if err != nil {
			return false
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			p.mu.Lock()
			p.expected = false
			p.mu.Unlock()
			select {
			case <-exited: // between the answer and now
				return false
			default:
				return true
			}
		}
		select {
		case <-exited:
			return false
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// signal sends a signal, unless the server has ended, and returns what is
// closed at its end.
func (p *process) signal(s syscall.Signal, ends bool) (exited chan struct{}, cmd *exec.Cmd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		done := make(chan struct{})
		close(done)
		return done, nil
	}
	select {
	case <-p.exited:
	default:
		p.expected = p.expected || ends
		_ = p.cmd.Process.Signal(s) // it may be ending at this very moment
	}
	return p.exited, p.cmd
}

// kill ends the server as a crash would.
func (p *process) kill() error {
	exited, _ := p.signal(syscall.SIGKILL, true)
	<-exited
	return nil
}

// stop asks the server to stop, and reports a problem if it does not do so in order.
func (p *process) stop() {
	exited, cmd := p.signal(syscall.SIGTERM, true)
	select {
	case <-exited:
		if cmd != nil && cmd.ProcessState.ExitCode() != 0 {
			p.rec.problem("%s was asked to stop and ended with %v; its last words:\n%s", p.name, cmd.ProcessState, p.tail())
		}
	case <-time.After(stopTimeout):
		p.rec.problem("%s was asked to stop and did not within %v; its last words:\n%s", p.name, stopTimeout, p.tail())
		_ = p.kill() // never fails
	}
}

func (p *process) freeze() { p.signal(syscall.SIGSTOP, false) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT, false) }

// running reports whether the process is there.
func (p *process) running() bool {
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	if exited == nil {
		return false
	}
	select {
	case <-exited:
		return false
	default:
		return true
	}
}

// close ends the server for good, and looks through what it has written.
func (p *process) close() {
	p.thaw()
	if p.running() {
		p.stop()
	}
	_ = p.log.Close() // the child wrote, not we
	if err := errors.Join(p.clock.Close(), os.Remove(p.clock.path)); err != nil {
		p.rec.problem("%s: its clock: %v", p.name, err)
	}
	log, err := os.ReadFile(p.logPath)
	if err != nil {
		p.rec.problem("%s: its log cannot be read: %v", p.name, err)
	}
	for _, bad := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
		if i := bytes.Index(log, []byte(bad)); i >= 0 {
			p.rec.problem("%s: its log has %q:\n%s", p.name, bad, log[i:min(len(log), i+4000)])
		}
	}
}

// tail is the end of what the server has written.
func (p *process) tail() string {
	f, err := os.Open(p.logPath)
	if err != nil {
		return err.Error()
	}
	defer f.Close() //nolint:errcheck // it was only read
	const most = 3000
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-most), io.SeekStart) // else the beginning will do
	}
	text, _ := io.ReadAll(f) // what there is
	return string(text)
}

// serveArgs are the settings that a run's own servers have: short lives, so that
// much happens in a short time.
func serveArgs(database string, hints string, extra []string) []string {
	return append(slices.Clone([]string{
		"--database", database, "--hints", hints, "--signup", "open", "--heartbeat", "3s", "--stream-age", "20s",
		"--drain-timeout", "5s", "--max-waiting-per-user", "10000", "--max-signups-per-address", "1000000",
	}), extra...)
}
