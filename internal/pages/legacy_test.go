package pages

import (
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// arrive opens the root in a browser that is old, and waits for the page's door.
func arrive(p *browser.Profile, url, handle string) *Person {
	p.T.Helper()
	b := Arrive(p, url, handle)
	if there := b.Text("typeof JSON + typeof [].forEach + typeof ''.trim + typeof Object.keys + typeof document.addEventListener + typeof document.querySelector + typeof Promise + typeof fetch"); there != strings.Repeat("undefined", 8) {
		p.T.Errorf("this is no old browser: %s", there)
	}
	return b
}

// annAndBob are a new server's two users, with a conversation. Ann has just signed
// up in a browser that is old.
func annAndBob(t *testing.T) (server *harness.Server, ann *Person, bob *harness.Client, talk string) {
	t.Helper()
	return annAndBobIn(browser.NewProfile(t, Old(false)))
}

// annAndBobIn is annAndBob where Ann has a browser already.
func annAndBobIn(profile *browser.Profile) (server *harness.Server, ann *Person, bob *harness.Client, talk string) {
	profile.T.Helper()
	server = harness.Start(profile.T, harness.Config{NoRace: true})
	ann = arrive(profile, server.URL, "ann")
	ann.Enter("join")
	bob = server.SignUp("bob")
	return server, ann, bob, bob.Direct("ann")
}

// unmarked sees that nothing people wrote has become part of the page.
func unmarked(b *Person) {
	b.T.Helper()
	for expression, want := range map[string]string{
		"window.hacked": "undefined", "window.forbidden.join()": "", "document.getElementsByTagName('img').length": "0",
		"document.getElementsByTagName('script').length": "1", "document.getElementsByTagName('iframe').length": "0",
	} {
		if got := b.Text(expression); got != want {
			b.T.Errorf("%s is %s", expression, got)
		}
	}
}

// hostile are texts that become more than text where somebody is careless.
var hostile = []string{
	`<script>window.hacked = 1</script>`,
	`"><img src=x onerror="window.hacked = 1">`,
	`javascript:window.hacked=1`,
	`</textarea></li></ul><iframe src="javascript:parent.hacked=1"></iframe>`,
	"&lt;b&gt; \u2028 </script> 😀 \\u003cimg\\u003e '\" \x01",
	"two\nlines",
}

func TestLegacyPage(t *testing.T) {
	t.Parallel()
	life(t, false)
}

// Without localStorage, cookies and XMLHttpRequest.
func TestLegacyPageBare(t *testing.T) {
	t.Parallel()
	life(t, true)
}

// life is what people do with the page: they sign up, talk, see the server die
// and come back, reload, meet somebody hostile and sign out.
func life(t *testing.T, bare bool) {
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(bare)), server.URL, "ann")
	bob := arrive(browser.NewProfile(t, Old(bare)), server.URL, "bob")
	ann.Size(1024, 700)
	bob.Size(240, 320)
	ann.Enter("join")
	bob.Enter("join")

	ann.Start("nobody", "")
	ann.Until("told that there is nobody", Shows("state", "nobody"))
	ann.Start("@Bob", "")
	ann.Until("the talk", Visible("talk")+" && "+Shows("title", "bob"))
	ann.Say("Are you there?")
	ann.Until("accepted and delivered", Shows("messages", "delivered"))
	bob.Until("it is counted", Shows("list", "1\nann") /* the count floats */ +" || "+Shows("list", "1"))
	bob.Choose("ann")
	bob.Until("it is there", Shows("messages", "Are you there?"))
	ann.Until("read", Shows("messages", "read"))
	bob.Say("Yes.")
	ann.Until("the answer", Shows("messages", "Yes."))
	if count := bob.Text(El("list") + ".innerText"); strings.Contains(count, "1") {
		t.Errorf("still counted: %s", count)
	}
	keepPicture(ann, bare, "wide")
	keepPicture(bob, bare, "narrow")

	// The server is killed. What is written meanwhile is sent when it is back.
	server.Kill()
	ann.Until("the connection is gone", Shows("state", "No connection"))
	ann.Say("While you were out")
	ann.Until("kept", Shows("messages", "sending"))
	ann.Load("about:blank") // and outlasts the page
	ann.Until("the page is left", "location.protocol == 'about:'")
	server = server.Again()
	ann.Load(server.URL + "/legacy")
	ann.Resume(bare)
	ann.Choose("bob")
	ann.Until("sent", Shows("messages", "While you were out")+" && !("+Shows("messages", "sending")+")")
	bob.Until("received", Shows("messages", "While you were out"))

	// After a reload the session goes on by its cookie; without cookies it is gone.
	ann.Reload()
	ann.Resume(bare)
	ann.Choose("bob")
	ann.Until("the history", Shows("messages", "Are you there?")+" && "+Shows("messages", "While you were out"))

	meetEve(server, ann)

	ann.Load(server.URL + "/legacy?")
	ann.Resume(bare)
	ann.Reach(El("leave"))
	ann.Press("Enter")
	ann.Until("signed out", Visible("door"))
	if left := ann.Text(El("list") + ".innerText + " + El("messages") + ".innerText"); strings.TrimSpace(left) != "" {
		t.Errorf("after signing out the page still holds %q", left)
	}
	ann.Reload()
	ann.Until("still signed out", Visible("door"))
	unmarked(ann)
	unmarked(bob)
	if sessions := bob.Text("window.requested.join()"); strings.Contains(sessions, "hl_") {
		t.Errorf("a token is in an address: %s", sessions)
	}
	if t.Failed() {
		return
	}
	if log := server.Logs(); strings.Contains(log, "level=ERROR") {
		t.Errorf("the server logged errors:\n%s", log)
	}
}

// meetEve lets somebody hostile write to a person by all that reaches their page.
func meetEve(server *harness.Server, ann *Person) {
	t := ann.T
	t.Helper()
	eve := server.Client()
	var in struct {
		Token string `json:"token"`
	}
	eve.Must(http.StatusCreated, http.MethodPost, "/v1/users", map[string]string{"handle": "eve", "password": harness.Password, "display_name": hostile[1]}, &in)
	eve.Token = in.Token
	var made struct {
		ID string `json:"id"`
	}
	eve.Must(http.StatusCreated, http.MethodPost, "/v1/conversations", map[string]any{"kind": "group", "members": []string{"ann"}, "title": hostile[0]}, &made)
	for i, text := range hostile {
		eve.MustSend(made.ID, fmt.Sprint("e", i), text)
	}
	ann.Choose(hostile[0])
	ann.Until("all that eve says, as text", Shows("messages", "two")+" && "+Shows("messages", hostile[2])+" && "+Shows("messages", hostile[3])+" && "+Shows("messages", hostile[1]+" (eve)"))
	unmarked(ann)
	for _, text := range hostile {
		if strings.ContainsAny(text, "\n\x01") {
			continue
		}
		ann.Say(text)
		ann.Until("sent as it is", Shows("messages", text)+" && !("+Shows("messages", "sending")+")")
	}
	unmarked(ann)
	for _, hash := range []string{"#c=<img src=x onerror=hacked=1>", "#c=constructor", "#c=javascript:hacked=1", "#" + hostile[0], "?" + hostile[1]} {
		if strings.HasPrefix(hash, "#") {
			if err := ann.Eval("location.hash = "+browser.Quoted(hash), nil); err != nil {
				t.Error(err)
			}
			unmarked(ann)
		}
	}
	// Names of the direct conversation come from elsewhere again.
	eve.MustSend(eve.Direct("ann"), "d", "direct")
	ann.Choose(hostile[1])
	ann.Until("her words", Shows("messages", "direct"))
	unmarked(ann)
}

// keepPicture writes a screenshot if HOLDLINE_TEST_PICTURES names a folder for them.
func keepPicture(b *Person, bare bool, name string) {
	if dir := os.Getenv("HOLDLINE_TEST_PICTURES"); dir != "" {
		b.Do("picture", filepath.Join(dir, fmt.Sprintf("legacy-%s-%v.png", name, bare)))
	}
}
