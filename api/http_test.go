package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"holdline"
	"holdline/store"
)

func TestCORS(t *testing.T) {
	w := newWorld(t, nil)
	a := w.must(204, request{method: "OPTIONS", path: "/v1/conversations/4Jx0aQ7bTz1/stream", header: map[string]string{
		"Origin": "https://example.org", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,last-event-id"}}, nil)
	for header, wants := range map[string][]string{
		"Access-Control-Allow-Origin":  {"*"},
		"Access-Control-Allow-Methods": {"GET", "HEAD", "POST", "PATCH", "DELETE"},
		"Access-Control-Allow-Headers": {"Authorization", "Content-Type", "Last-Event-ID"},
		"Access-Control-Max-Age":       {"86400"},
	} {
		for _, want := range wants {
			if !strings.Contains(a.header.Get(header), want) {
				t.Errorf("%s: %q lacks %s", header, a.header.Get(header), want)
			}
		}
	}
	a = w.do(request{method: "GET", path: "/v1/me", header: map[string]string{"Origin": "https://example.org"}})
	if a.status != 401 || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("an error must be readable across origins: %v", a.header)
	}
}

func TestHEADIsGETWithoutTheBody(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	for _, path := range []string{"/healthz", "/openapi.yaml", "/docs", "/v1/me", "/v1/conversations"} {
		get := w.must(200, request{method: "GET", path: path, token: ann.Token}, nil)
		head := w.must(200, request{method: "HEAD", path: path, token: ann.Token}, nil)
		if len(head.body) != 0 || head.header.Get("Content-Length") != fmt.Sprint(len(get.body)) {
			t.Errorf("%s: %v, %d bytes; GET gives %d", path, head.header, len(head.body), len(get.body))
		}
	}
	a := w.do(request{method: "HEAD", path: "/v1/conversations/4Jx0aQ7bTz1/stream", token: ann.Token})
	if a.status != 405 || !strings.Contains(a.header.Get("Allow"), "GET") {
		t.Errorf("a stream: %d, Allow %q", a.status, a.header.Get("Allow"))
	}
}

func TestServerTellsItsLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.TicketAge, c.BodyLimit = 90*time.Second, 1<<20 })
	var info ServerInfo
	w.must(200, request{method: "GET", path: "/v1/server"}, &info)
	want := Limits{TextBytes: 16384, BodyBytes: 1 << 20, ClientIdChars: 64, TitleChars: 200, MembersAtOnce: 1000, PageLimit: 1000,
		WaitSeconds: 50, HeartbeatSeconds: 15, TicketSeconds: 90, StreamSeconds: 3600, ReceiptMembers: 256}
	if info.Name != "holdline" || info.Version != "test" || info.Epoch != w.store.Epoch() || info.Limits != want {
		t.Errorf("%+v", info)
	}
}

func TestReadinessGoesBeforeTheRest(t *testing.T) {
	w := newWorld(t, nil)
	w.must(200, request{method: "GET", path: "/readyz"}, nil)
	must(t, w.Close(t.Context()))
	w.refused(request{method: "GET", path: "/readyz"}, 503, "shutting_down", "")
	w.must(200, request{method: "GET", path: "/healthz"}, nil)
	w.signUp("ann") // what still comes is served
}

func TestTheReferenceNeedsNoOtherServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.must(200, request{method: "GET", path: "/openapi.yaml"}, nil)
	if !bytes.Equal(a.body, holdline.OpenAPI) {
		t.Error("another contract is served than this was built from")
	}
	page := w.must(200, request{method: "GET", path: "/docs"}, nil)
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "http") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
	if !regexp.MustCompile(`(?s)<noscript>.*href="openapi\.yaml".*</noscript>`).Match(page.body) {
		t.Error("without scripts there is no way to the contract")
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(page.body), -1)
	if len(links) < 4 {
		t.Fatalf("the page loads %v", links)
	}
	for _, link := range links {
		if strings.Contains(link[1], ":") || strings.HasPrefix(link[1], "/") {
			t.Errorf("%s is not relative to this server", link[1])
			continue
		}
		// Some clients take no gzip, and must get the file all the same.
		for _, encoding := range []string{"gzip", "identity"} {
			file := w.must(200, request{method: "GET", path: "/" + link[1], header: map[string]string{"Accept-Encoding": encoding}}, nil)
			if len(file.body) == 0 || encoding == "identity" && file.header.Get("Content-Encoding") != "" {
				t.Errorf("%s as %s: %d bytes, %v", link[1], encoding, len(file.body), file.header)
			}
		}
	}
}

func TestASlowBodyIsCutOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.BodyTimeout = 50 * time.Millisecond })
	for _, test := range []struct {
		head   string
		status int
		code   string
	}{
		{"POST /v1/sessions HTTP/1.1\r\n", 408, "timeout"},
		// Those whose body nobody wants are not waited for any longer.
		{"POST /v1/tickets HTTP/1.1\r\nAuthorization: Bearer x\r\n", 401, "unauthorized"},
		{"POST /v1/nothing HTTP/1.1\r\n", 404, "not_found"},
		{"GET /v1/me HTTP/1.1\r\n", 401, "unauthorized"},
	} {
		conn := w.dial(test.head + "Host: x\r\nContent-Length: 50\r\n\r\n{\"handle\":")
		answers := bufio.NewReader(conn)
		resp, err := http.ReadResponse(answers, nil)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		if resp.StatusCode != test.status || !resp.Close || !strings.Contains(string(body), `"code":"`+test.code+`"`) || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: %d, close %v: %s", test.head, resp.StatusCode, resp.Close, body)
		}
		if _, err = answers.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%q: the connection is still open: %v", test.head, err)
		}
	}
}

// The deadline of a body must not outlast it: the same connection goes on.
func TestABodysDeadlineEndsWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.BodyTimeout = 50 * time.Millisecond })
	ann := w.signUp("ann")
	group := w.group(ann)
	conn := w.dial("")
	answers := bufio.NewReader(conn)
	exchange := func(text string) *http.Response {
		_, err := io.WriteString(conn, text)
		must(t, err)
		resp, err := http.ReadResponse(answers, nil)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
		return resp
	}
	head := "HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ann.Token + "\r\n"
	const send = `{"client_id":"m-1","text":"x"}`
	path := "/v1/conversations/" + group.Id
	if resp := exchange(fmt.Sprintf("POST %s/messages %sContent-Length: %d\r\n\r\n%s", path, head, len(send), send)); resp.StatusCode != 201 {
		t.Fatalf("%d", resp.StatusCode)
	}
	began := time.Now()
	if resp := exchange("GET " + path + "/events?after=2&wait=1 " + head + "\r\n"); resp.StatusCode != 200 || time.Since(began) < time.Second {
		t.Errorf("waited %v, then %d", time.Since(began), resp.StatusCode)
	}
}

func TestABodyCutShortIsNotRead(t *testing.T) {
	w := newWorld(t, nil)
	conn := w.dial("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"han\r\nzz\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	if resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// A client that asks and asks and never reads the answers is cut off.
func TestAnAnswerNobodyTakesIsCutOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WriteTimeout = 50 * time.Millisecond })
	closed := make(chan struct{}, 1)
	listener := httptest.NewUnstartedServer(w.Handler())
	listener.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	listener.Start()
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Listener.Addr().String())
	must(t, err)
	defer conn.Close()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		// 1,000 answers of 60 kB are more than any socket buffers. The server
		// may close before all is asked.
		_, _ = io.WriteString(conn, strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 1000))
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Error("still connected")
	}
	must(t, conn.Close())
	<-asked
}

func TestAPanicIsAProblemAndLogged(t *testing.T) {
	logs := &logBuffer{}
	s := &Server{cfg: Config{WriteTimeout: time.Second}, logger: slog.New(slog.NewTextHandler(logs, nil))}
	e := echo.New()
	recorder := httptest.NewRecorder()
	c := e.NewContext(httptest.NewRequest("GET", "/x?ticket=secret", nil), recorder)
	must(t, s.outermost(func(echo.Context) error { panic("boom") })(c))
	if recorder.Code != 500 || !strings.Contains(recorder.Body.String(), `"code":"internal"`) || strings.Contains(recorder.Body.String(), "boom") {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
	if !strings.Contains(logs.String(), "boom") || !strings.Contains(logs.String(), "http_test.go") || strings.Contains(logs.String(), "secret") {
		t.Errorf("logged: %s", logs)
	}
}

func TestProblems(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		code   string
		detail string
	}{
		{fmt.Errorf("database says no"), 500, "internal", "Something went wrong on the server. It has been logged."},
		{&store.Error{Code: store.CodeInternal, Message: "secret"}, 500, "internal", "Something went wrong on the server. It has been logged."},
		{&store.Error{Code: "new_and_unknown", Message: "secret"}, 500, "internal", "Something went wrong on the server. It has been logged."},
		{fmt.Errorf("sending: %w", store.Errorf(store.CodeOverloaded, "too many wait; nothing was stored")), 503, "overloaded", "Too many wait; nothing was stored."},
		{store.Errorf(store.CodeStorageFull, ""), 507, "storage_full", "Insufficient Storage."},
		{&store.Error{Code: store.CodeUnknownMember, Field: "members", Message: "nobody has the handle x"}, 400, "unknown_member", "members: nobody has the handle x."},
		{invalid("text", "text must not be empty."), 400, "invalid", "text must not be empty."},
		{context.DeadlineExceeded, 503, "unavailable", "The server could not answer in time. Try again."},
		{&http.MaxBytesError{Limit: 7}, 413, "body_too_large", "A body may have 7 bytes here."},
		{echo.ErrNotFound, 404, "not_found", "There is nothing at this address. /openapi.yaml lists what there is."},
		{echo.NewHTTPError(400, "odd"), 400, "invalid", "Odd."},
		{echo.NewHTTPError(418, "odd"), 500, "internal", "Something went wrong on the server. It has been logged."},
		{&retryError{cause: store.Errorf(codeRateLimited, "Wait."), after: time.Minute}, 429, "rate_limited", "Wait."},
	} {
		p := problemOf(test.err)
		if p.Status != test.status || p.Code != test.code || p.Detail != test.detail || p.Title != http.StatusText(test.status) {
			t.Errorf("%v became %+v", test.err, p)
		}
	}
	if got := retryAfter(&retryError{cause: store.Errorf(codeRateLimited, "Wait."), after: 1500 * time.Millisecond}, 429); got != 2 {
		t.Errorf("1.5 s to wait, told %d", got)
	}
	waits := map[int]bool{}
	for range 200 {
		waits[retryAfter(context.DeadlineExceeded, 503)] = true
	}
	if waits[0] || len(waits) < 3 {
		t.Errorf("Retry-After of a 503 should be jittered: %v", waits)
	}
	if retryAfter(echo.ErrNotFound, 404) != 0 {
		t.Error("waiting does not help a 404")
	}
	contract := string(holdline.OpenAPI)
	for code := range statuses {
		if !strings.Contains(contract, "`"+string(code)+"`") {
			t.Errorf("the contract does not name the code %s", code)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld(t, nil)
	for name, change := range map[string]func(*Config){
		"no store":       func(c *Config) { c.Store = nil },
		"no poller":      func(c *Config) { c.Poller = nil },
		"sign-up":        func(c *Config) { c.SignUp = "perhaps" },
		"low body limit": func(c *Config) { c.BodyLimit = 1000 },
		"high limit":     func(c *Config) { c.BodyLimit = 1 << 40 },
		"negative":       func(c *Config) { c.TicketAge = -time.Second },
	} {
		cfg := Config{Store: w.store, Poller: w.poller}
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
