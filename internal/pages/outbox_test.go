package pages

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// What refuses a message without being the server, or because the page is of an
// earlier session, does not make the page give the message up.
func TestLegacyOutboxOutlastsWhatIsNoRefusal(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	answers := []string{`{"error":"blocked by policy"}`, `{"status":403,"code":"forbidden","field":"form_token","title":"Forbidden","detail":"Load the page again."}`}
	var asked atomic.Int32
	site := between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/messages") {
			if n := int(asked.Add(1)); n <= len(answers) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, answers[n-1]) // the browser may be gone
				return true
			}
		}
		return false
	})
	ann := arrive(browser.NewProfile(t, Old(false)), site, "ann")
	server.SignUp("ann")
	ann.Enter("enter")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
	ann.Choose("bob")
	ann.Say("not to be lost")
	ann.Until("told what to do", Shows("state", "Load the page again."))
	ann.Until("sent", Shows("messages", "not to be lost")+" && !("+Shows("messages", "sending")+")")
	if log := bob.AllEvents(talk); len(log) != 2 || log[1].Text != "not to be lost" {
		t.Errorf("the log: %+v", log)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("it was sent %d times", n)
	}
}

// What was kept in memory, since localStorage was full, is gone once it is to be.
func TestLegacyKeptWhereStorageIsFull(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, name := range []string{"json.js", "kept.js"} {
		b, err := os.ReadFile("../../web/legacy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	page, _ := browser.NewProfile(t, "").Open("about:blank")
	err := page.Eval(`(function () {
		var full = false, values = {}, localStorage = {
			setItem: function (key, value) { if (full) throw new Error('full'); values[key] = value; },
			getItem: function (key) { return key in values ? values[key] : null; },
			removeItem: function (key) { delete values[key]; },
			key: function (i) { for (var key in values) if (!i--) return key; }
		};
		function attempt(f) { try { return f(); } catch (e) { return null; } }
		function has(o, key) { return Object.prototype.hasOwnProperty.call(o, key); }
		`+source.String()+`
		openKept();
		window.full = function (yes) { full = yes; };
		window.keep = keep;
		window.kept = kept;
		window.keys = function () { localStorage.length = 0; for (var key in values) localStorage.length++; return keptKeys('m.').join(); };
	})()`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ do, kept, keys string }{
		{"keep('m.1', 'one')", "one", "m.1"},
		{"full(true), keep('m.2', 'two')", "one", "m.1,m.2"},
		{"full(false), keep('m.2', null)", "one", "m.1"},
		{"full(true), keep('m.3', 'three'), full(false), keep('m.3', 'again'), keep('m.3', null)", "one", "m.1"},
		{"keep('m.1', null)", "null", ""},
	} {
		page.Text(step.do)
		if got, keys := page.Text("kept('m.1')"), page.Text("keys()"); got != step.kept || keys != step.keys {
			t.Errorf("after %s: %s, keys %s", step.do, got, keys)
		}
	}
}

// A message that is refused since its group is left is not gone without a word.
func TestLegacyRefusedOutOfSight(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	bob := server.SignUp("bob")
	group := bob.Group("ann")
	ann.Choose("without a title")
	hold(ann, "if (/POST.*messages/.test(url)) { window.post = go; return; }")
	ann.Say("Am I still here?")
	ann.Until("on its way", "window.post")
	var me struct{ User struct{ ID string } }
	server.SignIn("ann", harness.Password).Must(200, "GET", "/v1/me", nil, &me)
	tell(bob, 200, "DELETE", group, "/members/"+me.User.ID, nil)
	ann.Until("removed", Shows("state", "no longer"))
	release(ann, "post")
	ann.Until("told", Shows("state", "Not sent: "))
}

// Once the connection is back, so is what waits to be sent: it does not sit its own
// time out.
func TestLegacySendsOnceItIsConnected(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	var away atomic.Bool
	site := between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		if !away.Load() {
			return false
		}
		if r.Method == http.MethodPost {
			w.Header().Set("Retry-After", "300")
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":503,"code":"unavailable","title":"x","detail":"Away."}`) // the browser may be gone
		return true
	})
	ann := arrive(browser.NewProfile(t, Old(false)), site, "ann")
	ann.Enter("join")
	server.SignUp("bob").Direct("ann")
	ann.Choose("bob")
	away.Store(true)
	ann.Say("as soon as can be")
	ann.Until("not taken", Shows("state", "Away."))
	// The poll that waits is given up, as when a device has slept.
	if err := ann.Eval("window.onpagehide(), window.onpageshow()", nil); err != nil {
		t.Fatal(err)
	}
	ann.Until("no connection", Shows("state", "No connection"))
	away.Store(false)
	ann.Until("sent", "!("+Shows("messages", "sending")+") && "+Shows("messages", "as soon as can be"))
}
