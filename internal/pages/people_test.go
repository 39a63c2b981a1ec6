package pages

import (
	"fmt"
	"strings"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// goTo opens a conversation by the page's address.
func goTo(p *Person, talk string) {
	p.T.Helper()
	if err := p.Eval("location.hash = "+browser.Quoted("#c="+talk), nil); err != nil {
		p.T.Fatal(err)
	}
	p.Until("it is open", Visible("talk"))
}

// A name that is told late is that of its own conversation, not of the one that
// has been opened meanwhile.
func TestLegacyTitleWaitsForNoName(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	hold(ann, "if (url.indexOf('v1/users/') > 0) { window.name1 = go; return; }")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
	bob.MustSend(talk, "1", "hello")
	group := bob.Group("ann")
	tell(bob, 200, "PATCH", group, "", map[string]string{"title": "Allotment"})
	ann.Until("both are there, one without its name", Shows("list", "Allotment")+" && "+Shows("list", "\u2026")+" && window.name1")
	goTo(ann, talk)
	ann.Until("its title waits", Shows("title", "\u2026"))
	goTo(ann, group)
	ann.Until("the group", Shows("title", "Allotment"))
	release(ann, "name1")
	ann.Until("the name is told", Shows("list", "bob"))
	if got := ann.Text(El("title") + ".innerText"); got != "Allotment" {
		t.Errorf("the open conversation is called %q", got)
	}
	goTo(ann, talk)
	ann.Until("its own title", Shows("title", "bob"))
}

// A name that could not be told at once is asked for again.
func TestLegacyNameOutlastsAFailure(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	// The policy of the page refuses that address: there is no answer. Of whoever began
	// it, a conversation tells; of the other, the list of its members.
	hold(ann, `
		var what = /v1.users|members/.exec(url);
		if (what && !window[what]) { window[what] = true; x.open('GET', 'http://127.0.0.1:1/'); x.onreadystatechange = does; }`)
	server.SignUp("bob").Direct("ann")
	server.SignUp("cleo")
	server.SignIn("ann", harness.Password).Direct("cleo")
	ann.Until("both have failed", "window['v1/users'] && window.members")
	ann.Until("told all the same", Shows("list", "bob")+" && "+Shows("list", "cleo"))
}

// With many conversations only what is shown costs anything: lines, and calls
// for names.
func TestLegacyManyConversations(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	const many, first = 60, 50
	api := server.SignIn("ann", harness.Password)
	for i := range many {
		friend := server.SignUp(fmt.Sprint("friend", i))
		if i%2 == 0 {
			friend.Direct("ann")
		} else {
			api.Direct(fmt.Sprint("friend", i))
		}
	}
	named := func(n int) string {
		return fmt.Sprintf("%s.childNodes.length == %d && %s.innerText.split('friend').length == %d", El("list"), n, El("list"), n+1)
	}
	ann.Until("the first are there", named(first))
	ann.Reload()
	ann.Until("again", named(first))
	calls := "(window.requested.join('\\n').match(/v1.users.|members/g) || []).length"
	if n := ann.Text(calls); n != fmt.Sprint(first) {
		t.Errorf("%s calls for the names of %d", n, first)
	}
	if err := ann.Eval(El("all")+".focus()", nil); err != nil { // behind fifty others
		t.Fatal(err)
	}
	ann.Press("Enter")
	ann.Until("the others too", named(many))
	if n := ann.Text(calls); n != fmt.Sprint(many) {
		t.Errorf("%s calls for the names of %d", n, many)
	}
}

// What has not changed is left alone: screen readers read out what does.
func TestLegacyTellsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := Arrive(browser.NewProfile(t, ""), server.URL, "ann") // an old one cannot be observed
	ann.Enter("join")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
	ann.Choose("bob")
	read := func(n int) {
		t.Helper()
		log := bob.AllEvents(talk)
		bob.Must(204, "POST", "/v1/acks", map[string]any{"read": map[string]int64{talk: log[len(log)-1].Seq}}, nil)
		ann.Until("all are read", fmt.Sprintf("%s.innerText.split('read').length == %d", El("messages"), n+1))
	}
	ann.Say("one")
	ann.Say("two")
	ann.Until("accepted", El("messages")+".innerText.split('accepted').length == 3")
	read(2)
	ann.Say("three")
	ann.Until("accepted", Shows("messages", "accepted"))
	if err := ann.Eval(`window.changed = [], new MutationObserver(function (all) {
		all.forEach(function (m) { if (m.addedNodes.length) changed.push(m.target.parentNode.innerText); });
	}).observe(document.getElementById('messages'), {childList: true, subtree: true})`, nil); err != nil {
		t.Fatal(err)
	}
	read(3)
	if got := ann.Text("window.changed.join('|')"); !strings.Contains(got, "three") || strings.Contains(got, "one") || strings.Contains(got, "two") {
		t.Errorf("changed: %q", got)
	}
}
