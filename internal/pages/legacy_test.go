package pages

import (
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"holdline/internal/harness"
)

//go:embed old.js
var oldScript string

// old takes from a browser what old ones lack; bare: localStorage, cookies and
// XMLHttpRequest too, for what Internet Explorer 6 has in their place.
func old(bare bool) string {
	return strings.Replace(oldScript, "BARE", strconv.FormatBool(bare), 1)
}

// person is somebody at the legacy page.
type person struct {
	*page
	handle string
}

// el is the element of an id.
func el(id string) string { return "document.getElementById(" + quoted(id) + ")" }

// shows is whether an element's text holds another.
func shows(id, text string) string {
	return el(id) + ".innerText.indexOf(" + quoted(text) + ") >= 0"
}

// visible is whether an element can be seen.
func visible(id string) string { return el(id) + " && " + el(id) + ".offsetHeight > 0" }

// arrive opens the root, which leads to the page, and waits for its door.
func (p *profile) arrive(url, handle string) *person {
	p.t.Helper()
	opened, _ := p.open(url + "/")
	b := &person{opened, handle}
	b.until("the door", visible("door"))
	if at := b.text("location.pathname"); at != "/legacy" {
		p.t.Errorf("a browser is led to %s", at)
	}
	if there := b.text("typeof JSON + typeof [].forEach + typeof ''.trim + typeof Object.keys + typeof document.addEventListener + typeof document.querySelector + typeof Promise + typeof fetch"); p.before != "" && there != strings.Repeat("undefined", 8) {
		p.t.Errorf("this is no old browser: %s", there)
	}
	return b
}

// enter fills the door in and presses a button of it, all by the keyboard.
func (b *person) enter(button string) {
	b.t.Helper()
	b.until("the button", visible(button))
	b.reach(el("handle"))
	b.write("handle", b.handle)
	b.press("Tab")
	b.enterText(harness.Password)
	b.reach(el(button))
	b.press("Enter")
	b.until("signed in", visible("home")+" && "+shows("name", b.handle))
}

// resume waits until the page, loaded anew, goes on: by its cookie, or with a
// password where there are none.
func (b *person) resume(bare bool) {
	b.t.Helper()
	if bare {
		b.until("the door", visible("door"))
		b.enter("enter")
	}
	b.until("signed in", visible("home")+" && "+visible("leave"))
}

// write fills a field in.
func (b *person) write(id, text string) {
	b.t.Helper()
	b.reach(el(id))
	if err := b.eval(el(id)+".value = ''", nil); err != nil {
		b.t.Error(err)
	}
	b.enterText(text)
}

// start starts a conversation.
func (b *person) start(people, title string) {
	b.t.Helper()
	b.write("people", people)
	b.write("group", title)
	b.press("Enter")
}

// say sends a message in the conversation that is open.
func (b *person) say(text string) {
	b.t.Helper()
	b.write("text", text)
	b.press("Enter")
}

// choose opens the conversation of a name, from the list.
func (b *person) choose(name string) {
	b.t.Helper()
	b.until("the list names "+name, shows("list", name))
	link := "(function () { var all = " + el("list") + ".getElementsByTagName('a'), i; for (i = 0; i < all.length; i++) if (all[i].innerText.indexOf(" + quoted(name) + ") >= 0) return all[i]; })()"
	b.reach(link)
	b.press("Enter")
	b.until(name+" is open", shows("title", name))
}

// unmarked sees that nothing people wrote has become part of the page.
func (b *person) unmarked() {
	b.t.Helper()
	for expression, want := range map[string]string{
		"window.hacked": "undefined", "window.forbidden.join()": "", "document.getElementsByTagName('img').length": "0",
		"document.getElementsByTagName('script').length": "1", "document.getElementsByTagName('iframe').length": "0",
	} {
		if got := b.text(expression); got != want {
			b.t.Errorf("%s is %s", expression, got)
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
	ann := newProfile(t, old(bare)).arrive(server.URL, "ann")
	bob := newProfile(t, old(bare)).arrive(server.URL, "bob")
	ann.size(1024, 700)
	bob.size(240, 320)
	ann.enter("join")
	bob.enter("join")

	ann.start("nobody", "")
	ann.until("told that there is nobody", shows("state", "nobody"))
	ann.start("@Bob", "")
	ann.until("the talk", visible("talk")+" && "+shows("title", "bob"))
	ann.say("Are you there?")
	ann.until("accepted and delivered", shows("messages", "delivered"))
	bob.until("it is counted", shows("list", "1\nann") /* the count floats */ +" || "+shows("list", "1"))
	bob.choose("ann")
	bob.until("it is there", shows("messages", "Are you there?"))
	ann.until("read", shows("messages", "read"))
	bob.say("Yes.")
	ann.until("the answer", shows("messages", "Yes."))
	if count := bob.text(el("list") + ".innerText"); strings.Contains(count, "1") {
		t.Errorf("still counted: %s", count)
	}
	keepPicture(ann, bare, "wide")
	keepPicture(bob, bare, "narrow")

	// The server is killed. What is written meanwhile is sent when it is back.
	server.Kill()
	ann.until("the connection is gone", shows("state", "No connection"))
	ann.say("While you were out")
	ann.until("kept", shows("messages", "sending"))
	ann.load("about:blank") // and outlasts the page
	ann.until("the page is left", "location.protocol == 'about:'")
	server = server.Again()
	ann.load(server.URL + "/legacy")
	ann.resume(bare)
	ann.choose("bob")
	ann.until("sent", shows("messages", "While you were out")+" && !("+shows("messages", "sending")+")")
	bob.until("received", shows("messages", "While you were out"))

	// After a reload the session goes on by its cookie; without cookies it is gone.
	ann.reload()
	ann.resume(bare)
	ann.choose("bob")
	ann.until("the history", shows("messages", "Are you there?")+" && "+shows("messages", "While you were out"))

	meetEve(server, ann)

	ann.load(server.URL + "/legacy?")
	ann.resume(bare)
	ann.reach(el("leave"))
	ann.press("Enter")
	ann.until("signed out", visible("door"))
	if left := ann.text(el("list") + ".innerText + " + el("messages") + ".innerText"); strings.TrimSpace(left) != "" {
		t.Errorf("after signing out the page still holds %q", left)
	}
	ann.reload()
	ann.until("still signed out", visible("door"))
	ann.unmarked()
	bob.unmarked()
	if sessions := bob.text("window.requested.join()"); strings.Contains(sessions, "hl_") {
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
func meetEve(server *harness.Server, ann *person) {
	t := ann.t
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
	ann.choose(hostile[0])
	ann.until("all that eve says, as text", shows("messages", "two")+" && "+shows("messages", hostile[2])+" && "+shows("messages", hostile[3])+" && "+shows("messages", hostile[1]+" (eve)"))
	ann.unmarked()
	for _, text := range hostile {
		if strings.ContainsAny(text, "\n\x01") {
			continue
		}
		ann.say(text)
		ann.until("sent as it is", shows("messages", text)+" && !("+shows("messages", "sending")+")")
	}
	ann.unmarked()
	for _, hash := range []string{"#c=<img src=x onerror=hacked=1>", "#c=constructor", "#c=javascript:hacked=1", "#" + hostile[0], "?" + hostile[1]} {
		if strings.HasPrefix(hash, "#") {
			if err := ann.eval("location.hash = "+quoted(hash), nil); err != nil {
				t.Error(err)
			}
			ann.unmarked()
		}
	}
	// Names of the direct conversation come from elsewhere again.
	eve.MustSend(eve.Direct("ann"), "d", "direct")
	ann.choose(hostile[1])
	ann.until("her words", shows("messages", "direct"))
	ann.unmarked()
}

// keepPicture writes a screenshot if HOLDLINE_TEST_PICTURES names a folder for them.
func keepPicture(b *person, bare bool, name string) {
	if dir := os.Getenv("HOLDLINE_TEST_PICTURES"); dir != "" {
		b.do("picture", filepath.Join(dir, fmt.Sprintf("legacy-%s-%v.png", name, bare)))
	}
}
