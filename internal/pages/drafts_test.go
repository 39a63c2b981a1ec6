package pages

import (
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
