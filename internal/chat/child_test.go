package chat

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"holdline/internal/harness"
	"holdline/internal/subprocess"
)

// quick runs the server without the race detector, which is for the client here.
var quick = harness.Config{NoRace: true}

// home is where a person's client keeps its files.
type home struct {
	tb     testing.TB
	folder string
	env    []string
}

func newHome(tb testing.TB, server *harness.Server) *home {
	tb.Helper()
	h := &home{tb: tb, folder: tb.TempDir()}
	h.env = []string{"XDG_CONFIG_HOME=" + h.folder, "HOLDLINE_PASSWORD=" + harness.Password, "HOLDLINE_SERVER=" + server.URL}
	return h
}

// file is one of an account's own.
func (h *home) file(server *harness.Server, name string) string {
	account := Account{Folder: filepath.Join(h.folder, "holdline"), Server: server.URL}
	return filepath.Join(serverFolder(account.Folder, account.Server), name)
}

// run runs a command to its end.
func (h *home) run(stdin string, args ...string) harness.Result {
	h.tb.Helper()
	return harness.RunEnv(h.tb, h.env, stdin, args...)
}

// child is a running command.
type child struct {
	tb    testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}

	mu       sync.Mutex
	out, err bytes.Buffer
}

// start runs a command whose input stays open, with the race detector if the test has it.
func (h *home) start(args ...string) *child {
	h.tb.Helper()
	return h.startProgram(harness.Binary(h.tb), args...)
}

// startPlain is start without the race detector, for tests that start many.
func (h *home) startPlain(args ...string) *child {
	h.tb.Helper()
	return h.startProgram(harness.Plain(h.tb), args...)
}

func (h *home) startProgram(program string, args ...string) *child {
	h.tb.Helper()
	c := &child{tb: h.tb, cmd: exec.Command(program, args...), done: make(chan struct{})}
	c.cmd.Env = append(subprocess.Environ(os.Environ()), h.env...)
	c.cmd.Stdout, c.cmd.Stderr = writer{c, &c.out}, writer{c, &c.err}
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		h.tb.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait() // the state says it all
		close(c.done)
	}()
	h.tb.Cleanup(func() {
		c.kill()
		if strings.Contains(c.errors(), "DATA RACE") || h.tb.Failed() {
			h.tb.Errorf("%s:\n%s\n%s", strings.Join(args, " "), c.output(), c.errors())
		}
	})
	return c
}

type writer struct {
	c  *child
	to *bytes.Buffer
}

func (w writer) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.to.Write(p)
}

func (c *child) output() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func (c *child) errors() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err.String()
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.done
}

// end closes the input and returns the status that it ends with.
func (c *child) end() int {
	c.tb.Helper()
	_ = c.stdin.Close()
	harness.Eventually(c.tb, "the command ends", func() bool {
		select {
		case <-c.done:
			return true
		default:
			return false
		}
	})
	return c.cmd.ProcessState.ExitCode()
}

// interrupt asks it to end, as Ctrl-C does.
func (c *child) interrupt() int {
	c.tb.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	return c.end()
}

func (c *child) typed(lines ...string) {
	c.tb.Helper()
	if _, err := io.WriteString(c.stdin, strings.Join(lines, "\n")+"\n"); err != nil {
		c.tb.Fatal(err)
	}
}

// shows waits for text in the output, n times.
func (c *child) shows(text string, n int) {
	c.tb.Helper()
	harness.Eventually(c.tb, text+" is shown", func() bool { return strings.Count(c.output(), text) >= n })
}

// texts are the messages of a log.
func texts(c *harness.Client, conversation string) []string {
	var all []string
	for _, e := range c.AllEvents(conversation) {
		if e.Type == "message" {
			all = append(all, e.Text)
		}
	}
	return all
}

// swallower is a way to the server that swallows the answers of sends for as long as
// swallow says so, which leaves open what became of them.
func swallower(t *testing.T, server *harness.Server, swallow *atomic.Bool) (address string) {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	middle := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	middle.ModifyResponse = func(r *http.Response) error {
		if swallow.Load() && strings.HasSuffix(r.Request.URL.Path, "/messages") {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	proxy := httptest.NewServer(middle)
	t.Cleanup(proxy.Close)
	return proxy.URL
}
