package chat

import (
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
		"a command that failed": {"/open nobody-of-this-name\n/group \"open\n/nonsense\n/new bob\nhello\n", 0, "That did not work"},
		"nothing at all":        {"", 0, ""},
	} {
		r := h.run(c.lines, "chat", "ann", "--plain")
		if r.Status != c.status || !strings.Contains(r.Stdout, c.says) || (r.Stderr == "") != (c.status == 0) {
			t.Errorf("%s: status %d: %.1000s%s", name, r.Status, r.Stdout, r.Stderr)
		}
	}

	// The server refuses.
	ann := h.startPlain("chat", "ann", "--plain")
	group := bob.Group("ann")
	ann.typed("/open " + group)
	ann.shows("* In group of", 1)
	member := account.UserID
	bob.Must(200, "DELETE", "/v1/conversations/"+group+"/members/"+member, nil, nil)
	ann.shows("was removed from", 1)
	ann.typed("still there?")
	ann.shows("* Not sent: still there?", 1)
	if status := ann.end(); status != 1 || !strings.Contains(ann.errors(), "1 not sent") {
		t.Errorf("status %d: %s", status, ann.errors())
	}

	// Ended before the server is back: what waits is not lost, but not accepted either.
	ann = h.startPlain("chat", "ann", "--plain")
	ann.typed("/new bob")
	ann.shows("* In bob", 1)
	server.Kill()
	ann.shows("* Reconnecting", 1)
	ann.typed("later")
	ann.shows("* 1 waiting to be sent", 1)
	if status := ann.interrupt(); status != 75 || !strings.Contains(ann.errors(), "1 waiting in the outbox") {
		t.Errorf("status %d: %s", status, ann.errors())
	}
	server = server.Again()
	if r := h.run("", "chat", "ann", "--plain"); r.Status != 0 {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if got := texts(bob.At(server), bob.At(server).Direct("ann")); got[len(got)-1] != "later" {
		t.Errorf("the log holds %q", got)
	}
}
