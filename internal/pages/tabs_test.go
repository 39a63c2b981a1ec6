package pages

import (
	"testing"

	"holdline/internal/harness"
)

// polls is how often a page has held the line.
const polls = "(window.requested.join('\\n').match(/wait=25/g) || []).length"

// Tabs of one browser hold one connection together: each shows what comes, and
// when the one that polls is closed, or its server is, another goes on.
func TestLegacyTabsShareOneConnection(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	profile := newProfile(t, old(false))
	opened, tab := profile.open(server.URL + "/")
	first := &person{opened, "ann"}
	first.until("the door", visible("door"))
	first.enter("join")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
	bob.MustSend(talk, "1", "one")
	first.until("it polls", polls+" > 0")
	first.choose("bob")

	opened, _ = profile.open(server.URL + "/legacy")
	second := &person{opened, "ann"}
	second.until("signed in by the cookie", visible("home"))
	second.choose("bob")
	second.until("the history", shows("messages", "one"))
	bob.MustSend(talk, "2", "two")
	for _, b := range []*person{first, second} {
		b.until("it is told", shows("messages", "two"))
	}
	if n := second.text(polls); n != "0" {
		t.Errorf("the second tab has polled %s times", n)
	}
	// What the second sends, the first shows as well.
	second.say("from the second")
	first.until("sent in another tab", shows("messages", "from the second"))

	// The leader is closed: what comes then is not missed.
	tab.close()
	bob.MustSend(talk, "3", "three")
	second.until("told, now by its own connection", shows("messages", "three")+" && "+polls+" > 0")

	opened, _ = profile.open(server.URL + "/legacy")
	third := &person{opened, "ann"}
	third.until("signed in by the cookie", visible("home"))
	server.Kill()
	server = server.Again()
	bob = bob.At(server)
	bob.MustSend(talk, "4", "four")
	third.choose("bob")
	for _, b := range []*person{second, third} {
		b.until("it is told after a crash", shows("messages", "four"))
	}
	if n := third.text(polls); n != "0" {
		t.Errorf("the third tab has polled %s times", n)
	}
	// What was handed on is not left behind.
	third.until("nothing that was said is kept", "(function () { for (var i = 0, all = ''; i < localStorage.length; i++) all += localStorage.getItem(localStorage.key(i)); return all.indexOf('four') < 0; })()")

	// Signing out in one tab signs the others out.
	third.reach(el("leave"))
	third.press("Enter")
	for _, b := range []*person{third, second} {
		b.until("signed out", visible("door"))
	}
}
