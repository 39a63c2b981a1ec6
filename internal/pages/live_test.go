package pages

import (
	"strings"
	"testing"

	"holdline/internal/harness"
)

// hold has a script decide about each call before it is sent: x is the request and
// url what it asks for; go sends it.
func hold(p *Person, decide string) {
	p.T.Helper()
	if err := p.Eval(`(function () {
		var send = XMLHttpRequest.prototype.send;
		XMLHttpRequest.prototype.send = function (body) {
			var x = this, url = window.requested[window.requested.length - 1], does = x.onreadystatechange;
			function go() { send.call(x, body); }
			`+decide+`
			go();
		};
	})()`, nil); err != nil {
		p.T.Fatal(err)
	}
}

// release lets go of what was held.
func release(p *Person, what string) {
	p.T.Helper()
	if err := p.Eval("window."+what+"()", nil); err != nil {
		p.T.Fatal(err)
	}
}

// What comes while the first page of history is on its way is shown behind it.
func TestLegacyHistoryMeetsWhatIsLive(t *testing.T) {
	t.Parallel()
	_, ann, bob, talk := annAndBob(t)
	bob.MustSend(talk, "1", "before")
	ann.Until("it is there", Shows("list", "before"))
	hold(ann, "if (url.indexOf('/events?') > 0) x.onreadystatechange = function () { if (x.readyState == 4) window.page = does; };")
	ann.Choose("bob")
	ann.Until("the answer is held", "window.page")
	bob.MustSend(talk, "2", "meanwhile")
	ann.Until("live", Shows("messages", "meanwhile"))
	release(ann, "page")
	ann.Until("the history", Shows("messages", "before"))
	if got := rows(ann); len(got) != 2 || !strings.HasSuffix(got[0], "before") || !strings.HasSuffix(got[1], "meanwhile") {
		t.Errorf("shown: %q", got)
	}
}

// A conversation that is asked for anew, to count what is unread, may tell of a
// message before its event comes: that is shown all the same, and counted once.
func TestLegacyCountMeetsWhatIsLive(t *testing.T) {
	t.Parallel()
	server, ann, bob, talk := annAndBob(t)
	bob.MustSend(talk, "0", "zero")
	ann.Choose("bob")
	ann.Until("the history", Shows("messages", "zero"))
	if err := ann.Eval("location.hash = ''", nil); err != nil {
		t.Fatal(err)
	}
	ann.Until("closed", "!("+Visible("talk")+")")
	one := bob.MustSend(talk, "1", "one")
	bob.MustSend(talk, "2", "two")
	ann.Until("counted", Shows("list", "2"))
	hold(ann, `
		if (/conversations.\w{11}\?t/.test(url)) { window.ask = go; return; }
		if (window.ask && !window.news && url.indexOf('wait=25') > 0) x.onreadystatechange = function () { if (x.readyState == 4) window.news = does; };`)
	server.SignIn("ann", harness.Password).Must(204, "POST", "/v1/acks", map[string]any{"read": map[string]int64{talk: one.Seq}}, nil)
	ann.Until("it would count again", "window.ask")
	bob.MustSend(talk, "3", "three")
	ann.Until("the event is held", "window.news")
	release(ann, "ask")
	ann.Until("the count comes first", Shows("list", "three"))
	release(ann, "news")
	ann.Until("two of three are unread", Shows("list", "2"))
	ann.Choose("bob")
	ann.Until("it is shown", Shows("messages", "three"))
	if got := rows(ann); len(got) != 4 || !strings.HasSuffix(got[3], "three") {
		t.Errorf("shown: %q", got)
	}
}

// What becomes visible without the focus is not read.
func TestLegacyVisibleIsNotLookedAt(t *testing.T) {
	t.Parallel()
	_, ann, bob, talk := annAndBob(t)
	ann.Choose("bob")
	ann.Until("read", Shows("title", "bob")+" && document.title == 'Holdline'")
	if err := ann.Eval("window.focused = false, document.hasFocus = function () { return focused; }, window.onblur(), document.onvisibilitychange()", nil); err != nil {
		t.Fatal(err)
	}
	bob.MustSend(talk, "1", "one")
	ann.Until("shown", Shows("messages", "one"))
	if got := ann.Text("document.title"); got != "(1) Holdline" {
		t.Errorf("nobody looks, and the title is %q", got)
	}
	if err := ann.Eval("window.focused = true, window.onfocus()", nil); err != nil {
		t.Fatal(err)
	}
	ann.Until("read", "document.title == 'Holdline'")
}
