package chat

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"holdline/internal/harness"
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

// start runs a command whose input stays open, with the race detector if the test has it.
func (h *home) start(args ...string) *harness.Child {
	h.tb.Helper()
	return harness.StartChild(h.tb, h.env, append([]string{harness.Binary(h.tb)}, args...)...)
}

// startPlain is start without the race detector, for tests that start many.
func (h *home) startPlain(args ...string) *harness.Child {
	h.tb.Helper()
	return harness.StartChild(h.tb, h.env, append([]string{harness.Plain(h.tb)}, args...)...)
}

// interrupt asks a command to end, as Ctrl-C does, and returns its status.
func interrupt(c *harness.Child) int {
	c.Signal(syscall.SIGINT)
	return c.End()
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
