package pages

import (
	"fmt"
	"strings"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// comesBack has the browser put the page by and take it up again, as for Back:
// then all is drawn anew.
func comesBack(p *Person) {
	p.T.Helper()
	if err := p.Eval(El("list")+".firstChild.before = true, window.onpagehide(), window.onpageshow()", nil); err != nil {
		p.T.Fatal(err)
	}
	p.Until("drawn anew", El("list")+".firstChild && !"+El("list")+".firstChild.before")
}

// What is written and not sent outlasts that all is drawn anew, in the conversation
// that is open and in others.
func TestLegacyDraftsStay(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	server.SignUp("bob").Direct("ann")
	server.SignUp("cleo").Direct("ann")
	ann.Choose("bob")
	ann.Write("text", "half a thought for bob")
	ann.Choose("cleo")
	ann.Write("text", "and one for cleo")
	// Who is writing elsewhere goes on writing there.
	ann.Write("people", "da")
	comesBack(ann)
	ann.EnterText("ve")
	if got := ann.Text(El("people") + ".value"); got != "dave" {
		t.Errorf("what is written goes elsewhere: %q stays", got)
	}
	for _, draft := range []struct{ of, text string }{{"cleo", "and one for cleo"}, {"bob", "half a thought for bob"}} {
		ann.Choose(draft.of)
		if got := ann.Text(El("text") + ".value"); got != draft.text {
			t.Errorf("for %s there is %q", draft.of, got)
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

// Signing out in one tab asks about what another has not sent yet.
func TestLegacyLeavingAsksForAllTabs(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	profile := browser.NewProfile(t, Old(false))
	opened, _ := profile.Open(server.URL + "/legacy")
	first := &Person{opened, "ann"}
	first.Until("the door", Visible("door"))
	first.Enter("join")
	server.SignUp("bob").Direct("ann")
	opened, _ = profile.Open(server.URL + "/legacy")
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

// A page that is open for weeks keeps what is shown within bounds, without gaps.
func TestLegacyOpenForWeeks(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
	ann.Choose("bob")
	n := 0
	say := func() {
		t.Helper()
		bob.MustSend(talk, fmt.Sprint(n), fmt.Sprintf("message %03d.", n))
		n++
	}
	last := func() {
		t.Helper()
		ann.Until("live", Shows("messages", fmt.Sprintf("message %03d.", n-1)))
	}
	check := func(most int) {
		t.Helper()
		texts := rows(ann)
		if len(texts) > most {
			t.Errorf("%d lines are shown", len(texts))
		}
		for i, text := range texts {
			if !strings.HasSuffix(text, fmt.Sprintf("message %03d.", n-len(texts)+i)) {
				t.Fatalf("at %d of %d: %s", i, len(texts), text)
			}
		}
	}
	for range 230 {
		say()
	}
	last()
	check(200)
	ann.Until("there are older ones", Visible("older"))

	// Somebody who reads them keeps them; they go when the end is looked at again.
	ann.Reach(El("older"))
	ann.Until("not at the end", El("log")+".scrollTop < 50")
	ann.Press("Enter")
	ann.Until("older ones", Shows("messages", "message 005."))
	say()
	last()
	check(231)
	end := func() {
		t.Helper()
		if err := ann.Eval("window.scrolled = 0, "+El("log")+".scrollTop = 1e6, requestFrame(function () { scrolled = 1; })", nil); err != nil {
			t.Fatal(err)
		}
		ann.Until("at the end", "window.scrolled && "+El("log")+".scrollTop > 1000")
	}
	if err := ann.Eval("window.requestFrame = function (f) { var real = document.getElementById('log').onscroll; document.getElementById('log').onscroll = function () { real(); f(); }; }", nil); err != nil {
		t.Fatal(err)
	}
	end()
	say()
	last()
	check(200)

	// Also when a page of history is on its way.
	ann.Reach(El("text"))
	hold(ann, "if (url.indexOf('/events?') > 0) x.onreadystatechange = function () { if (x.readyState == 4) window.page = does; };")
	ann.Reach(El("older"))
	ann.Until("not at the end", El("log")+".scrollTop < 50")
	ann.Press("Enter")
	ann.Until("the answer is held", "window.page")
	end()
	say()
	last()
	release(ann, "page")
	check(200)
}

// What a tab was closed with is sent by another that is open still.
func TestLegacyClosedTabsMessageIsSent(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	profile := browser.NewProfile(t, Old(false))
	opened, _ := profile.Open(server.URL + "/legacy")
	first := &Person{opened, "ann"}
	first.Until("the door", Visible("door"))
	first.Enter("join")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
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
