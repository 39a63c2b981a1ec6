package chat

import (
	"slices"
	"strings"
	"testing"

	"holdline/internal/harness"
)

// A script that gives lines learns by the exit status that one was not sent, as that of `holdline send` tells it.
func TestTheStatusOfLines(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	bob := server.SignUp("bob")
	account := server.SignUp("ann")
	h := newHome(t, server)
	long := strings.Repeat("x", maxText+1)
	for name, c := range map[string]struct {
		lines  string
		status int
		says   string
	}{
		"all are accepted":      {"/new bob\nhello\n//slash\n", 0, ": /slash\n"},
		"none is open":          {"hello\n/new bob\nhello\n", 1, "No conversation is open"},
		"one is too long":       {"/new bob\nhello\n" + long + "\nhello again\n", 1, ": hello again\n"},
		"it is no text":         {"/new bob\n\xff\n", 1, "was not sent"},
		"one that did not open": {"/new bob\nhello\n/open nobody-of-this-name\nfor somebody else\n/new bob\nhello\n", 1, "No conversation is open"},
		"or was not well said":  {"/new bob\n/new bob cleo\nfor somebody else\n", 1, "No conversation is open"},
		"a command that failed": {"/open nobody-of-this-name\n/group \"open\n/nonsense\n/new bob\nhello\n", 0, "That did not work"},
		"nothing at all":        {"", 0, ""},
	} {
		r := h.run(c.lines, "chat", "ann", "--plain")
		if r.Status != c.status || !strings.Contains(r.Stdout, c.says) || (r.Stderr == "") != (c.status == 0) {
			t.Errorf("%s: status %d: %.1000s%s", name, r.Status, r.Stdout, r.Stderr)
		}
	}

	if got := texts(bob, bob.Direct("ann")); slices.Contains(got, "for somebody else") {
		t.Errorf("the log holds %q", got)
	}

	// The server refuses.
	ann := h.startPlain("chat", "ann", "--plain")
	group := bob.Group("ann")
	ann.Type("/open " + group)
	ann.Shows("* In group of", 1)
	member := account.UserID
	bob.Must(200, "DELETE", "/v1/conversations/"+group+"/members/"+member, nil, nil)
	ann.Shows("was removed from", 1)
	ann.Type("still there?")
	ann.Shows("* Not sent: still there?", 1)
	if status := ann.End(); status != 1 || !strings.Contains(ann.Errors(), "1 not sent") {
		t.Errorf("status %d: %s", status, ann.Errors())
	}

	// Ended before the server is back: what waits is not lost, but not accepted either.
	ann = h.startPlain("chat", "ann", "--plain")
	ann.Type("/new bob")
	ann.Shows("* In bob", 1)
	server.Kill()
	ann.Shows("* Reconnecting", 1)
	ann.Type("later")
	ann.Shows("* 1 waiting to be sent", 1)
	if status := interrupt(ann); status != 75 || !strings.Contains(ann.Errors(), "1 waiting in the outbox") {
		t.Errorf("status %d: %s", status, ann.Errors())
	}
	server = server.Again()
	if r := h.run("", "chat", "ann", "--plain"); r.Status != 0 {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if got := texts(bob.At(server), bob.At(server).Direct("ann")); got[len(got)-1] != "later" {
		t.Errorf("the log holds %q", got)
	}
}
