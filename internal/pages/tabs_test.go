package pages

import (
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// polls is how often a page has held the line.
const polls = "(window.requested.join('\\n').match(/wait=25/g) || []).length"

// Tabs of one browser hold one connection together: each shows what comes, and
// when the one that polls is closed, or its server is, another goes on.
func TestLegacyTabsShareOneConnection(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	profile := browser.NewProfile(t, Old(false))
	opened, tab := profile.Open(server.URL + "/")
	first := &Person{opened, "ann"}
	first.Until("the door", Visible("door"))
	first.Enter("join")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
	bob.MustSend(talk, "1", "one")
	first.Until("it polls", polls+" > 0")
	first.Choose("bob")

	opened, _ = profile.Open(server.URL + "/legacy")
	second := &Person{opened, "ann"}
	second.Until("signed in by the cookie", Visible("home"))
	second.Choose("bob")
	second.Until("the history", Shows("messages", "one"))
	bob.MustSend(talk, "2", "two")
	for _, b := range []*Person{first, second} {
		b.Until("it is told", Shows("messages", "two"))
	}
	if n := second.Text(polls); n != "0" {
		t.Errorf("the second tab has polled %s times", n)
	}
	// What the second sends, the first shows as well.
	second.Say("from the second")
	first.Until("sent in another tab", Shows("messages", "from the second"))

	// The leader is closed: what comes then is not missed.
	tab.Close()
	bob.MustSend(talk, "3", "three")
	second.Until("told, now by its own connection", Shows("messages", "three")+" && "+polls+" > 0")

	opened, _ = profile.Open(server.URL + "/legacy")
	third := &Person{opened, "ann"}
	third.Until("signed in by the cookie", Visible("home"))
	server.Kill()
	server = server.Again()
	bob = bob.At(server)
	bob.MustSend(talk, "4", "four")
	third.Choose("bob")
	for _, b := range []*Person{second, third} {
		b.Until("it is told after a crash", Shows("messages", "four"))
	}
	if n := third.Text(polls); n != "0" {
		t.Errorf("the third tab has polled %s times", n)
	}
	// What was handed on is not left behind.
	third.Until("nothing that was said is kept", "(function () { for (var i = 0, all = ''; i < localStorage.length; i++) all += localStorage.getItem(localStorage.key(i)); return all.indexOf('four') < 0; })()")

	// Signing out in one tab signs the others out.
	third.Reach(El("leave"))
	third.Press("Enter")
	for _, b := range []*Person{third, second} {
		b.Until("signed out", Visible("door"))
	}
}

// Signing out in one tab asks about what another has not sent yet.
func TestLegacyLeavingAsksForAllTabs(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	profile := browser.NewProfile(t, Old(false))
	first := Arrive(profile, server.URL, "ann")
	first.Enter("join")
	server.SignUp("bob").Direct("ann")
	opened, _ := profile.Open(server.URL + "/legacy")
	second := &Person{opened, "ann"}
	second.Choose("bob")
	hold(second, "if (/POST.*messages/.test(url)) { window.post = go; return; }")
	second.Say("unsent")
	second.Until("on its way", "window.post")
	answers(first, false)
	first.Reach(El("leave"))
	first.Press("Enter")
	first.Until("asked", "window.question")
	if got := first.Text(Visible("home")); got != "true" {
		t.Error("signed out in spite of the answer")
	}
	release(second, "post")
	second.Until("sent", Shows("messages", "unsent")+" && !("+Shows("messages", "sending")+")")
}

// What a tab was closed with is sent by another that is open still.
func TestLegacyClosedTabsMessageIsSent(t *testing.T) {
	t.Parallel()
	profile := browser.NewProfile(t, Old(false))
	server, first, bob, talk := annAndBobIn(profile)
	first.Choose("bob")
	first.Until("it leads", polls+" > 0")
	opened, tab := profile.Open(server.URL + "/legacy")
	second := &Person{opened, "ann"}
	second.Choose("bob")
	server.Kill()
	first.Until("the connection is gone", Shows("state", "No connection"))
	second.Say("not to be lost")
	second.Until("kept", Shows("messages", "sending"))
	tab.Close()
	server = server.Again()
	first.Until("sent, and shown once", El("messages")+".innerText.split('not to be lost').length == 2 && !("+Shows("messages", "sending")+")")
	if log := bob.At(server).AllEvents(talk); len(log) != 2 || log[1].Text != "not to be lost" {
		t.Errorf("the log: %+v", log)
	}

	// Also where the one that led is closed.
	opened, tab = profile.Open(server.URL + "/legacy")
	third := &Person{opened, "ann"}
	third.Choose("bob")
	hold(first, "if (/POST.*messages/.test(url)) return;")
	first.Say("nor this")
	first.Until("kept", Shows("messages", "sending"))
	first.Load("about:blank")
	third.Until("sent", El("messages")+".innerText.split('nor this').length == 2 && !("+Shows("messages", "sending")+")")
	tab.Close()
}
