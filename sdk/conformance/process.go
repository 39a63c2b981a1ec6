package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"holdline/internal/subprocess"
)

// patience bounds every wait for something that must happen soon.
const patience = time.Minute

// process is a server that is started again and again, on the same port and database.
type process struct {
	program string
	args    []string
	address string // host:port

	log    lockedBuffer
	cmd    *exec.Cmd
	exited chan struct{}
}

// lockedBuffer is what the server has written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs the server and returns when it answers.
func (p *process) start(ctx context.Context) error {
	cmd := exec.Command(p.program, p.args...) //nolint:noctx // the World ends it itself
	cmd.Env = subprocess.Environ(os.Environ())
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	cmd.SysProcAttr = subprocess.Attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		_ = cmd.Wait() // how it ended is in its state
		close(exited)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-exited:
			return fmt.Errorf("the server ended (%v) before it answered:\n%s", cmd.ProcessState, &p.log)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the server does not answer:\n%s", &p.log), p.end(syscall.SIGKILL))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// end ends the server by a signal, and waits for it.
func (p *process) end(s syscall.Signal) error {
	if p.cmd == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(s) // it may have ended
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return errors.New("the server did not end when asked to")
	}
	if log := p.log.String(); slices.ContainsFunc([]string{"panic:", "fatal error:", "WARNING: DATA RACE"}, func(bad string) bool { return strings.Contains(log, bad) }) {
		return fmt.Errorf("the server's log:\n%s", log)
	}
	return nil
}
