package pages

import (
	"database/sql"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// between is a site before the server, which may answer in its place.
func between(t *testing.T, server *harness.Server, answers func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	// It keeps Host, and does not say that it is there: then anybody may sign up.
	proxy := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answers(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(site.Close)
	t.Cleanup(site.CloseClientConnections)
	return site.URL
}

// A page that comes while the server does not answer yet offers all it has, as
// soon as the server does, and no longer says that there is no connection.
func TestLegacyServerComesLate(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	var me, about atomic.Int32
	site := between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/me" && me.Add(1) == 1 || r.URL.Path == "/v1/server" && about.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	})
	ann := Arrive(browser.NewProfile(t, Old(false)), site, "ann")
	if got := ann.Text(El("state") + ".innerText"); got != "" {
		t.Errorf("the door says %q", got)
	}
	ann.Enter("join")
}

// One press too many does not sign in twice.
func TestLegacyEntersOnce(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Until("the button", Visible("join"))
	hold(ann, "if (url.indexOf('POST v1/users') == 0) { window.enter = go; return; }")
	ann.Write("handle", "ann")
	ann.Write("password", harness.Password)
	ann.Reach(El("join"))
	ann.Press("Enter")
	ann.Press("Enter")
	if n := ann.Text("window.requested.join().split('v1/users').length - 1"); n != "1" {
		t.Errorf("asked %s times", n)
	}
	release(ann, "enter")
	ann.Until("signed in", Visible("home"))
}

// Who is signed out is told so, also where the server has been away; and nothing
// that was said or written stays behind, but what is to be sent.
func TestLegacySessionEnds(t *testing.T) {
	t.Parallel()
	server, ann, bob, talk := annAndBob(t)
	ann.Choose("bob")
	ann.Write("people", "carla")
	ann.Write("group", "A surprise for bob")
	bob.MustSend(talk, "1", "psst")
	ann.Until("told", Shows("messages", "psst"))
	server.Kill()
	ann.Until("the connection is gone", Shows("state", "No connection"))
	ann.Say("to be sent")
	db, err := sql.Open("sqlite", strings.TrimPrefix(server.Database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE sessions SET ended_at = 1`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	server.Again()
	ann.Until("signed out", Visible("door"))
	if got := ann.Text(El("state") + ".innerText"); got != "Signed out." {
		t.Errorf("told: %q", got)
	}
	if left := ann.Text(El("people") + ".value + " + El("group") + ".value + " + El("text") + ".value"); left != "" {
		t.Errorf("left in the fields: %q", left)
	}
	if kept := ann.Text("(function () { for (var i = 0, all = ''; i < localStorage.length; i++) all += localStorage.getItem(localStorage.key(i)); return all; })()"); strings.Contains(kept, "psst") || !strings.Contains(kept, "to be sent") {
		t.Errorf("kept: %s", kept)
	}
	ann.Enter("enter")
	ann.Choose("bob")
	ann.Until("sent", Shows("messages", "accepted")+" || "+Shows("messages", "delivered"))
}

// What one person's page has still to do, the next one's does not.
func TestLegacyNextPersonStartsAfresh(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	var refuse atomic.Bool
	refuse.Store(true)
	site := between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/acks" || !refuse.Load() {
			return false
		}
		w.Header().Set("Retry-After", "20")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":503,"code":"unavailable","title":"x","detail":"x"}`) // the browser may be gone
		return true
	})
	server.SignUp("bob")
	ann := arrive(browser.NewProfile(t, Old(false)), site, "ann")
	ann.Enter("join")
	cleo := server.SignUp("cleo")
	group := cleo.Group("ann", "bob")
	cleo.MustSend(group, "1", "to both")
	if err := ann.Eval(`(function () {
		var real = window.setTimeout;
		window.timers = [];
		Math.random = function () { return 0; };
		window.setTimeout = function (f, ms) {
			if (ms > 10000 && ms < 29000) timers.push({f: f, ms: ms});
			return real(f, ms);
		};
	})()`, nil); err != nil {
		t.Fatal(err)
	}
	ann.Choose("without a title")
	ann.Until("what is read is not taken", "window.timers.length")
	if ms := ann.Text("window.timers[0].ms >= 20000"); ms != "true" {
		t.Errorf("it comes back after %s ms, before the server wants it", ann.Text("window.timers[0].ms"))
	}
	if err := ann.Eval("location.hash = ''", nil); err != nil {
		t.Fatal(err)
	}
	ann.Until("closed", "!("+Visible("talk")+")")
	ann.Reach(El("leave"))
	ann.Press("Enter")
	ann.Until("signed out", Visible("door"))
	refuse.Store(false)
	bob := &Person{ann.Page, "bob"}
	bob.Enter("enter")
	bob.Until("unread", Shows("list", "without a title"))
	if err := bob.Eval("(function () { window.requested = []; for (var i = 0; i < timers.length; i++) timers[i].f(); })()", nil); err != nil {
		t.Fatal(err)
	}
	if asked := bob.Text("window.requested.join()"); strings.Contains(asked, "acks") {
		t.Errorf("what ann has read is read by bob: %s", asked)
	}
}
