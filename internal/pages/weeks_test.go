package pages

import (
	"fmt"
	"strings"
	"testing"
)

// A page that is open for weeks keeps what is shown within bounds, without gaps.
func TestLegacyOpenForWeeks(t *testing.T) {
	t.Parallel()
	_, ann, bob, talk := annAndBob(t)
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
