package foreign

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdline/internal/harness"
)

// browse opens a page of the folder page in a fresh Chromium without a window,
// and hands on each report that it makes. The page comes from an origin of its
// own.
func browse(t *testing.T, page string, given map[string]string) <-chan []byte {
	t.Helper()
	path, err := harness.Program("chromium", "chromium-browser", "google-chrome")
	if err != nil {
		t.Fatal(err)
	}
	reports := make(chan []byte)
	gone := make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(os.DirFS("page")))
	mux.Handle("GET /watch.mjs", http.FileServerFS(mustSub(t, "node")))
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		report, err := io.ReadAll(r.Body)
		if err != nil {
			return // the browser has ended
		}
		select {
		case reports <- report:
		case <-gone:
		}
	})
	server := httptest.NewServer(mux)

	query := url.Values{}
	for name, value := range given {
		query.Set(name, value)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--no-default-browser-check", "--no-proxy-server", "--disable-background-networking",
		"--disable-component-update", "--disable-breakpad", "--disable-default-apps", "--disable-extensions", "--disable-sync",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding",
		// Nothing but this machine is there.
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--user-data-dir="+t.TempDir(), server.URL+"/"+page+"?"+query.Encode())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed in the end
	}()
	t.Cleanup(func() {
		close(gone)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // all of its processes; they may be gone
		<-ended
		server.CloseClientConnections()
		server.Close()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", path, &stderr)
		}
	})
	return reports
}

func mustSub(t *testing.T, dir string) fs.FS {
	t.Helper()
	sub, err := fs.Sub(os.DirFS("."), dir)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// Chromium's EventSource, from another origin and so with a ticket.
func TestChromium(t *testing.T) {
	t.Parallel()
	follow(t, true, func(w *world, base string) <-chan []byte {
		return browse(t, "stream.html", map[string]string{"url": base + w.path() + "?ticket=" + w.ticket()})
	})
}

// A cursor of another epoch is told as an event.
func TestChromiumSeesReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.server.URL + w.path() + "?after=1-zzz&ticket=" + w.ticket()
	s := &eventSource{w: w, said: browse(t, "stream.html", map[string]string{"url": address})}
	s.ends("reset", "cursor_reset")
}

// A ticket that runs out ends the stream by an event.
func TestChromiumSeesTicketExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--ticket-ttl=3s")
	address := w.server.URL + w.path() + "?ticket=" + w.ticket()
	s := &eventSource{w: w, keepsID: true, said: browse(t, "stream.html", map[string]string{"url": address})}
	s.ends("end", "unauthorized")
}

// Chromium's EventSource, cut off once after each byte of a stream.
func TestChromiumCutAtEveryByte(t *testing.T) {
	t.Parallel()
	w, log, length := shortWorld(t, 200*time.Millisecond)
	reports := browse(t, "cuts.html", map[string]string{
		"bases": strings.Join(w.cutter.urls, " "), "path": w.path() + "?ticket=" + w.ticket(), "last": strconv.Itoa(length), "count": strconv.Itoa(len(log)),
	})
	w.checkCuts(reports, log, length)
}

// stepped is what a page of calls says after each of them.
type stepped struct {
	Step   string  `json:"step"`
	Status int     `json:"status"`
	Cursor string  `json:"cursor"`
	Text   string  `json:"text"`
	Seqs   []int64 `json:"seqs"`
	Kind   string  `json:"kind"`
	Data   string  `json:"data"`
}

// A page of another origin long-polls, sends, reads errors and headers, and
// reads a stream by fetch, with and without preflights.
func TestChromiumCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reports := browse(t, "calls.html", map[string]string{
		"base": w.cutter.base(""), "conversation": w.conversation, "token": w.bob.Token, "ticket": w.ticket(),
	})
	next := func(step string, status int) stepped {
		t.Helper()
		var s stepped
		select {
		case report := <-reports:
			if err := json.Unmarshal(report, &s); err != nil {
				t.Fatalf("%v: %s", err, report)
			}
		case <-time.After(patience):
			t.Fatalf("no report of the step %s", step)
		}
		if s.Step != step || s.Status != status {
			t.Fatalf("the page says %+v instead of %s, %d", s, step, status)
		}
		return s
	}
	first := next("fetch", http.StatusOK)
	if w.cutter.count(http.MethodOptions) == 0 {
		t.Error("the browser did not ask for leave: the page is of the same origin")
	}
	<-w.cutter.polls
	w.say("wake up \u2028\r\n")
	log := w.log(w.bob)
	if s := next("poll", http.StatusOK); !slices.Equal(s.Seqs, []int64{2}) || s.Cursor != log[1].id || s.Text != w.texts[2] || first.Cursor != log[0].id {
		t.Errorf("the long-poll: %+v behind %s", s, first.Cursor)
	}
	if s := next("lines", http.StatusOK); s.Cursor != log[1].id || !regexp.MustCompile(`^2\t[^\t]+\tmessage\t[^\t]+\twake up \\u2028\\r\\n\n$`).MatchString(s.Text) {
		t.Errorf("lines: %+v", s)
	}
	if s := next("send", http.StatusCreated); s.Text != "from the page" {
		t.Errorf("the send: %+v", s)
	}
	if s := next("reset", http.StatusGone); s.Text != "cursor_reset" {
		t.Errorf("with a cursor of another epoch: %+v", s)
	}
	if s := next("refused", http.StatusUnauthorized); s.Text != "unauthorized" || !strings.HasPrefix(s.Cursor, "Bearer") {
		t.Errorf("with a wrong token: %+v", s)
	}
	next("no stream", 2) // CLOSED
	if s := next("stream", http.StatusOK); !strings.HasPrefix(s.Text, "retry: ") || strings.Contains(s.Text, "event: created") || strings.Count(s.Text, "event: message") != 2 {
		t.Errorf("the stream: %+v", s)
	}
}
