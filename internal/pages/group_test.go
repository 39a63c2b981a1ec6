package pages

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// clock is a time of day, as lines of the log have it.
var clock = regexp.MustCompile(` \d\d:\d\d `)

// rows are the lines of the log that can be seen, in their order, without times.
func rows(p *Person) []string {
	p.T.Helper()
	var texts []string
	if err := p.Eval("(function () { var all = "+El("messages")+".childNodes, i, out = []; for (i = 0; i < all.length; i++) if (all[i].offsetHeight) out.push(all[i].innerText); return out; })()", &texts); err != nil {
		p.T.Fatal(err)
	}
	for i, text := range texts {
		texts[i] = strings.TrimSuffix(clock.ReplaceAllString(strings.Join(strings.Fields(text), " ")+" ", " "), " ")
	}
	return texts
}

// answers makes what the page asks for go ahead, or not, and keeps the question.
func answers(p *Person, yes bool) {
	p.T.Helper()
	if err := p.Eval(fmt.Sprintf("window.confirm = function (q) { window.question = q; return %v; }", yes), nil); err != nil {
		p.T.Fatal(err)
	}
}

// tell does something to a group by the API.
func tell(c *harness.Client, status int, method, group, path string, body any) {
	c.Must(status, method, "/v1/conversations/"+group+path, body, nil)
}

// reply answers a message by the API.
func reply(c *harness.Client, group, text string, to int64) {
	tell(c, 201, "POST", group, "/messages", map[string]any{"client_id": text[:2], "text": text, "reply_to": to})
}

// What happens to a group is told in its place, live and from history alike; people
// are added and leave by the keyboard; and no name or title is more than text.
func TestLegacyGroup(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	bob := arrive(browser.NewProfile(t, Old(true)), server.URL, "bob")
	ann.Enter("join")
	bob.Size(240, 320)
	bob.Enter("join")
	cleo := server.SignUp("cleo")
	eve := server.Client()
	eve.Must(201, "POST", "/v1/users", map[string]string{"handle": "eve", "password": harness.Password, "display_name": hostile[1]}, nil)
	eve = server.SignIn("eve", harness.Password)
	api := server.SignIn("ann", harness.Password)

	ann.Start("cleo", "")
	ann.Until("a direct talk", Shows("title", "cleo"))
	if got := ann.Text(Visible("acts")); got != "false" {
		t.Error("a direct conversation can be left")
	}
	ann.Start("bob, cleo", "Allotment")
	ann.Until("the group", Shows("title", "Allotment")+" && "+Shows("messages", `made the group "Allotment"`))
	group := ann.Text("location.hash")[len("#c="):]
	bob.Choose("Allotment")
	bob.Until("it is told to bob", Shows("messages", "made the group"))
	if got := bob.Text(Visible("quit") + " && !(" + Visible("add") + ")"); got != "true" {
		t.Error("somebody who may not is offered to add people")
	}

	// Adding, by the keyboard alone; what the server says against it is told.
	ann.Reach(El("add"))
	ann.Press("Enter")
	ann.Until("where to write", "document.activeElement == "+El("new"))
	ann.Press("Enter")
	ann.Until("a handle is asked for", Shows("state", "at least one"))
	ann.Write("new", "nobody")
	ann.Press("Enter")
	ann.Until("told that there is nobody", Shows("state", "nobody"))
	cleo.MustSend(cleo.Direct("ann"), "psst", "psst")
	ann.Until("something else comes", Shows("list", "psst"))
	if got := ann.Text(El("state") + ".innerText"); !strings.Contains(got, "nobody") {
		t.Errorf("what was told is gone before it was read: %q", got)
	}
	ann.Write("new", "@Eve")
	ann.Press("Enter")
	ann.Until("added", Shows("messages", "ann added "+hostile[1]+" (eve)")+" && "+El("state")+".innerText == '' && !("+Visible("adding")+")")
	ann.Reach(El("add"))
	ann.Press("Enter")
	ann.Write("new", "eve")
	ann.Press("Enter")
	ann.Until("told that she is there", Shows("state", "already"))

	// Titles, answers and removals.
	for _, title := range []string{hostile[0], hostile[3], ""} {
		tell(api, 200, "PATCH", group, "", map[string]string{"title": title})
	}
	text := hostile[3] + strings.Repeat(" and on", 20)
	question := cleo.MustSend(group, "q", text)
	reply(eve, group, "Re: "+hostile[0], question.Seq)
	tell(api, 200, "DELETE", group, "/members/"+cleo.UserID, nil)
	tell(eve, 200, "DELETE", group, "/members/me", nil)
	tell(api, 201, "POST", group, "/members", map[string]any{"members": []string{"eve"}})
	last := eve.MustSend(group, "last", "back again")
	want := []string{
		`ann made the group "Allotment"`,
		"ann added " + hostile[1] + " (eve)",
		`ann named the group "` + hostile[0] + `"`,
		`ann named the group "` + hostile[3] + `"`,
		"ann took the title away",
		"cleo " + text,
		hostile[1] + " (eve) cleo: " + strings.TrimSpace(text[:80]) + "… Re: " + hostile[0],
		"ann removed cleo",
		hostile[1] + " (eve) left",
		"ann added " + hostile[1] + " (eve)",
		hostile[1] + " (eve) back again",
	}
	check := func(p *Person) {
		t.Helper()
		p.Until("all of it", Shows("messages", "back again")+" && !(function () { var all = "+El("messages")+".getElementsByTagName('span'), i; for (i = 0; i < all.length; i++) if (all[i].innerText == '\u2026') return true; })()")
		if got := strings.Join(rows(p), "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%s is shown\n%s\nbut it was\n%s", p.Handle, got, strings.Join(want, "\n"))
		}
		unmarked(p)
	}
	check(ann)
	check(bob)
	keepPicture(ann, false, "group-wide")
	keepPicture(bob, true, "group-narrow")
	ann.Reload()
	ann.Until("the history", Shows("messages", "made the group"))
	check(ann)

	// What is answered may be on an earlier page.
	for i := range 31 {
		eve.MustSend(group, fmt.Sprint("m", i), fmt.Sprint("more ", i, "."))
	}
	reply(eve, group, "about before", last.Seq)
	ann.Until("live, it is known", Shows("messages", "(eve): back again"))
	ann.Reload()
	ann.Until("it is not there yet", Shows("messages", "Earlier message"))
	ann.Reach(El("older"))
	ann.Press("Enter")
	ann.Until("now it is", Shows("messages", "(eve): back again")+" && !("+Shows("messages", "Earlier message")+")")

	// Leaving asks first. The owner's place is taken by somebody who stays.
	answers(ann, false)
	ann.Reach(El("quit"))
	ann.Press("Enter")
	if asked := ann.Text("window.question"); !strings.Contains(asked, "Leave this group?") {
		t.Errorf("asked %q", asked)
	}
	answers(ann, true)
	ann.Press("Enter")
	ann.Until("gone from the list", Shows("state", "no longer")+" && !("+Visible("talk")+") && !("+Shows("list", "without a title")+")")
	bob.Until("told to bob, who may add people now", Shows("messages", "bob is now owner")+" && "+Shows("messages", "ann left")+" && "+Visible("add"))
	bob.Reach(El("add"))
	bob.Press("Enter")
	bob.Until("where to write", "document.activeElement == "+El("new"))
	keepPicture(bob, true, "adding-narrow")
	if wide := bob.Text("document.documentElement.scrollWidth <= 240"); wide != "true" {
		t.Error("the page is wider than its window")
	}
	bob.Write("new", "ann")
	bob.Press("Enter")
	ann.Until("back, to what was before", Shows("list", "without a title"))
	ann.Choose("Group without a title")
	ann.Until("the whole story", Shows("messages", "ann left")+" && "+Shows("messages", "bob added ann"))
	unmarked(ann)
	unmarked(bob)
}
