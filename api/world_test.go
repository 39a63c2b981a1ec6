package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"holdline/internal/contract"
	"holdline/poller"
	"holdline/store"
	"holdline/store/sqlite"
)

// world is a whole server in this process, on a SQLite file of its own, asked
// over real connections. Every exchange is held against the contract.
type world struct {
	*Server
	t      testing.TB
	url    string
	client *http.Client
	logs   *logBuffer
}

// newWorld starts a server; the last thing done to its configuration is change.
func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	ctx := context.Background()
	logs := &logBuffer{}
	logger := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	backend, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(t.TempDir(), "holdline.db"), Logger: logger})
	must(t, err)
	must(t, backend.Migrate(ctx))
	live := poller.New(poller.Options{Logger: logger})
	log, err := store.New(ctx, backend, store.Options{Logger: logger, Feed: live.Feed, FeedMoved: live.FeedMoved})
	must(t, err)
	must(t, live.Start(ctx, log))
	cfg := Config{Store: log, Poller: live, Logger: logger, Version: "test", SignUp: SignUpOpen, passwordMemory: 64}
	if change != nil {
		change(&cfg)
	}
	listener := httptest.NewUnstartedServer(nil)
	cfg.Returns = NewReturns(listener.Listener.Addr())
	s, err := New(cfg)
	must(t, err)
	serve(t, listener, s)
	w := &world{Server: s, t: t, url: listener.URL, logs: logs, client: &http.Client{Transport: contract.Transport(t, listener.Client().Transport)}}
	t.Cleanup(func() {
		must(t, s.Close(ctx))
		listener.Close()
		must(t, live.Close(ctx))
		must(t, log.Close())
		if text := logs.String(); strings.Contains(text, "level=ERROR") && !t.Failed() {
			t.Errorf("the server logged an error:\n%s", text)
		}
	})
	return w
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) problem(t testing.TB) Problem {
	t.Helper()
	var p Problem
	must(t, json.Unmarshal(a.body, &p))
	return p
}

// request is one call; empty parts are left out.
type request struct {
	method, path string
	token        string
	kind         string // Content-Type; for a body without one: "-"
	body         any    // string as it is; url.Values as a form; anything else as JSON
	header       map[string]string
}

func (w *world) do(r request) answer {
	w.t.Helper()
	var body io.Reader
	kind := r.kind
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case url.Values:
		body = strings.NewReader(b.Encode())
		if kind == "" {
			kind = "application/x-www-form-urlencoded"
		}
	default:
		encoded, err := json.Marshal(b)
		must(w.t, err)
		body = bytes.NewReader(encoded)
	}
	if body != nil && kind == "" {
		kind = "application/json"
	}
	req, err := http.NewRequest(r.method, w.url+r.path, body)
	must(w.t, err)
	if kind != "" && kind != "-" {
		req.Header.Set("Content-Type", kind)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := w.client.Do(req)
	must(w.t, err)
	read, err := io.ReadAll(resp.Body)
	must(w.t, err)
	must(w.t, resp.Body.Close())
	return answer{resp.StatusCode, resp.Header, read}
}

// must is do, where only one status will do; the answer is read into v unless it is nil.
func (w *world) must(status int, r request, v any) answer {
	w.t.Helper()
	a := w.do(r)
	if a.status != status {
		w.t.Fatalf("%s %s: %d, want %d: %s", r.method, r.path, a.status, status, a.body)
	}
	if v != nil {
		must(w.t, json.Unmarshal(a.body, v))
	}
	return a
}

// refused makes a call that must be refused with a status, a code and, unless
// it is "*", a field.
func (w *world) refused(r request, status int, code, field string) Problem {
	w.t.Helper()
	a := w.do(r)
	p := a.problem(w.t)
	if a.status != status || p.Status != status || p.Code != code || field != "*" && p.Field != field {
		w.t.Errorf("%s %s %.200v: %d %s, want %d %s on %q", r.method, r.path, r.body, a.status, a.body, status, code, field)
	}
	return p
}

const password = "correct horse"

// account is somebody signed up.
type account struct {
	User  User
	Token string
}

func (w *world) signUp(handle string) account {
	w.t.Helper()
	var in SignedIn
	w.must(201, request{method: "POST", path: "/v1/users", body: NewUser{Handle: handle, Password: password}}, &in)
	return account{in.User, in.Token}
}

func (w *world) signIn(handle string) string {
	w.t.Helper()
	var in SignedIn
	w.must(201, request{method: "POST", path: "/v1/sessions", body: NewSession{Handle: handle, Password: password}}, &in)
	return in.Token
}

func (w *world) group(owner account, handles ...string) Conversation {
	w.t.Helper()
	var c Conversation
	w.must(201, request{method: "POST", path: "/v1/conversations", token: owner.Token,
		body: NewConversation{Kind: NewConversationKindGroup, Members: append([]string{}, handles...)}}, &c)
	return c
}

func (w *world) send(from account, conversation, clientID, text string) Event {
	w.t.Helper()
	var e Event
	w.must(201, request{method: "POST", path: "/v1/conversations/" + conversation + "/messages", token: from.Token,
		body: NewMessage{ClientId: clientID, Text: text}}, &e)
	return e
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logBuffer is what a server has logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// serve starts a listener for a server, and takes back what it returns.
func serve(t testing.TB, listener *httptest.Server, s *Server) {
	listener.Config.Handler = s.Handler()
	listener.Start()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = listener.Config.Serve(s.cfg.Returns)
	}()
	t.Cleanup(func() {
		must(t, s.cfg.Returns.Close())
		<-ended
	})
}
