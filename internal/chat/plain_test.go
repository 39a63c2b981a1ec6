package chat

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"holdline/internal/harness"
)

// Promises 1 and 2: the server is killed twice, and both sides go on typing.
func TestLinesSurviveTheServer(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	bob := server.SignUp("bob")
	h := newHome(t, server)
	ann := h.start("chat", "ann", "--sign-up")
	ann.Type("/new bob", "one")
	ann.Shows(": one\n", 1)
	conversation := ""
	for i := range 2 {
		conversation = bob.At(server).Direct("ann")
		text := fmt.Sprintf("from bob %d", i)
		bob.At(server).MustSend(conversation, text[9:], text)
		ann.Shows(": "+text, 1)

		server.Kill()
		ann.Shows("* Reconnecting", i+1)
		ann.Type(fmt.Sprintf("away %d", i), fmt.Sprintf("//still away %d", i))
		ann.Shows("waiting to be sent", 2*i+2)
		server = server.Again()
		ann.Shows(fmt.Sprintf(": /still away %d\n", i), 1)
	}
	if status := ann.End(); status != 0 {
		t.Fatalf("status %d", status)
	}
	want := []string{"one", "from bob 0", "away 0", "/still away 0", "from bob 1", "away 1", "/still away 1"}
	if got := texts(bob.At(server), conversation); !slices.Equal(got, want) {
		t.Errorf("the log holds %q", got)
	}
	var shown []string
	for _, m := range regexp.MustCompile(`(?m)^#\d+ \S+ (?:ann|bob): (.*)$`).FindAllStringSubmatch(ann.Output(), -1) {
		shown = append(shown, m[1])
	}
	if !slices.Equal(shown, want) {
		t.Errorf("shown was %q", shown)
	}
}

// Promise 1: what waits outlives the client, too.
func TestTheOutboxOutlivesTheClient(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	bob := server.SignUp("bob")
	server.SignUp("ann")
	h := newHome(t, server)
	ann := h.start("chat", "ann", "--long-poll")
	ann.Type("/new bob", "first")
	ann.Shows(": first", 1)
	conversation := bob.Direct("ann")
	server.Kill()
	ann.Shows("* Reconnecting", 1)
	want := []string{"first"}
	for i := range 20 {
		text := fmt.Sprintf("line %d", i)
		want = append(want, text)
		ann.Type(text)
	}
	ann.Shows("20 waiting to be sent", 1)
	ann.Kill()
	if info, err := os.Stat(h.file(server, "ann.outbox")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the outbox: %v, %v", info, err)
	}
	again := h.start("chat", "ann") // while the server is still away
	again.Shows("* Reconnecting", 1)
	server = server.Again()
	if status := again.End(); status != 0 {
		t.Fatalf("status %d", status)
	}
	if got := texts(bob.At(server), conversation); !slices.Equal(got, want) {
		t.Errorf("the log holds %q", got)
	}
	if left, err := os.ReadFile(h.file(server, "ann.outbox")); err != nil || len(left) > 0 {
		t.Errorf("%q is left of the outbox: %v", left, err)
	}
}

func TestLinesTellWhatBecame(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	bob := server.SignUp("bob")
	cleo := server.SignUp("cleo")
	h := newHome(t, server)
	ann := h.start("chat", "ann", "--sign-up")
	ann.Type(`/group "Road trip" bob cleo`, "a \x1b[31mred \u202e one")
	ann.Shows(`: a \u001b[31mred \u202e one`, 1)
	group := ""
	harness.Eventually(t, "bob sees the group", func() bool {
		var list struct{ Conversations []struct{ ID, Title string } }
		bob.Must(200, "GET", "/v1/conversations", nil, &list)
		if len(list.Conversations) == 1 && list.Conversations[0].Title == "Road trip" {
			group = list.Conversations[0].ID
		}
		return group != ""
	})
	bob.Must(204, "POST", "/v1/acks", map[string]any{"read": map[string]int64{group: 2}}, nil)
	ann.Shows("* Read by bob up to #2.", 1)
	cleo.Must(204, "POST", "/v1/acks", map[string]any{"delivered": map[string]int64{group: 2}}, nil)
	ann.Shows("* Delivered to cleo up to #2.", 1)
	ann.Type("/info 2", "/members", "/open nobody-of-this-name", "/nonsense")
	ann.Shows("* #2 accepted 20", 1)
	ann.Shows("* cleo: delivered 20", 1)
	ann.Shows("read not yet", 1)
	ann.Shows("* 3 in Road trip:", 1)
	ann.Shows("* That did not work: ", 1)
	ann.Shows("* There is no such command", 1)

	// Elsewhere and unread, then opened and read.
	direct := bob.Direct("ann")
	ann.Shows("* bob began a conversation: bob", 1)
	bob.MustSend(direct, "1", "psst")
	ann.Shows("* In bob, 1 unread: bob: psst", 1)
	ann.Type("/list", "/open bob")
	ann.Shows("bob  (1 unread)  bob: psst", 1)
	harness.Eventually(t, "it is read", func() bool {
		var r struct {
			ReadCount int `json:"read_count"`
		}
		bob.Must(200, "GET", "/v1/conversations/"+direct+"/messages/2/receipts", nil, &r)
		return r.ReadCount == 1
	})
	if status := ann.End(); status != 0 {
		t.Errorf("status %d", status)
	}
	// The same session again, without a password; then it is ended.
	h.env = slices.DeleteFunc(h.env, func(v string) bool { return strings.HasPrefix(v, "HOLDLINE_PASSWORD") })
	if r := h.run("/list\n", "chat", "ann"); r.Status != 0 || !strings.Contains(r.Stdout, "Road trip") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if r := h.run("", "chat", "ann", "--sign-out"); r.Status != 0 || r.Stdout != "Signed ann out.\n" {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if r := h.run("", "chat", "ann"); r.Status != 1 || !strings.Contains(r.Stderr, "HOLDLINE_PASSWORD") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
}

func TestOlderMessagesAreLoaded(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	server.SignUp("ann")
	bob := server.SignUp("bob")
	conversation := bob.Direct("ann")
	const all = 60
	for i := range all {
		bob.MustSend(conversation, fmt.Sprint(i), fmt.Sprintf("number %d.", i))
	}
	h := newHome(t, server)
	r := h.run("/open bob\n/older\n/older\n", "chat", "ann")
	for i := range all {
		if n := len(regexp.MustCompile(fmt.Sprintf(`(?m)^#%d .*: number %d\.$`, i+2, i)).FindAllString(r.Stdout, -1)); n != 1 {
			t.Errorf("message %d is shown %d times", i, n)
		}
	}
	if !strings.Contains(r.Stdout, "* 10 older messages.\n* This is the beginning.\n") {
		t.Errorf("shown was %s%s", r.Stdout, r.Stderr)
	}
}

func TestAnEndedSessionEndsTheClient(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	other := server.SignUp("ann")
	h := newHome(t, server)
	ann := h.startPlain("chat", "ann")
	ann.Shows("* Connected", 1)
	var list struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}
	other.Must(200, "GET", "/v1/sessions", nil, &list)
	for _, s := range list.Sessions {
		if !s.Current {
			other.Must(204, "DELETE", "/v1/sessions/"+s.ID, nil, nil)
		}
	}
	<-ann.Exited()
	if status := ann.End(); status != 1 || !strings.Contains(ann.Errors(), "the session has ended") {
		t.Errorf("status %d: %s", status, ann.Errors())
	}
	if _, err := os.Stat(h.file(server, "ann.session")); !os.IsNotExist(err) {
		t.Errorf("the session is still kept: %v", err)
	}
}

// Promise 1, with the server there: wherever the kill falls, what was shown is in the log, in order, once.
func TestTheClientIsKilledWhileItSends(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	bob := server.SignUp("bob")
	server.SignUp("ann")
	conversation := bob.Direct("ann")
	h := newHome(t, server)
	shown := 0
	for round := range 3 {
		ann := h.startPlain("chat", "ann")
		ann.Type("/open bob")
		for i := range 40 {
			ann.Type(fmt.Sprintf("%d.%02d", round, i))
		}
		ann.Shows(fmt.Sprintf(": %d.%02d\n", round, 5+7*round), 1)
		ann.Kill()
		shown += len(regexp.MustCompile(`(?m)^#.*ann: \d`).FindAllString(ann.Output(), -1))
	}
	if r := h.run("", "chat", "ann"); r.Status != 0 {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	got := texts(bob, conversation)
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("the log holds %q", got)
	}
	next := map[string]int{} // of each round nothing is left out before what came
	for _, text := range got {
		round, number, _ := strings.Cut(text, ".")
		if number != fmt.Sprintf("%02d", next[round]) {
			t.Errorf("%s comes after %d others of its round", text, next[round])
		}
		next[round]++
	}
	// Opening a conversation shows what the rounds before left there.
	if before := 6 + 13 + 20; len(got) < before || shown < before {
		t.Errorf("%d were stored, %d shown", len(got), shown)
	}
}

func TestOneChatAtATime(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	h := newHome(t, server)
	ann := h.startPlain("chat", "ann", "--sign-up")
	ann.Shows("* Connected", 1)
	if r := h.run("", "chat", "ann"); r.Status != 1 || !strings.Contains(r.Stderr, "another chat of ann") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if status := interrupt(ann); status != 0 {
		t.Errorf("status %d: %s", status, ann.Errors())
	}
	for _, wrong := range [][]string{
		{"chat", "Ann"}, {"chat", "a/b"}, {"chat", "ann", "--sign-up", "--sign-out"},
		{"chat", "ann", "--server", "ftp://x"}, {"chat", "ann", "--server", "http://u:p@x"},
	} {
		if r := h.run("", wrong...); r.Status != 2 {
			t.Errorf("%q: status %d: %s%s", wrong, r.Status, r.Stdout, r.Stderr)
		}
	}
	if r := h.run("", "chat", "ann", "--sign-up"); r.Status != 1 || !strings.Contains(r.Stderr, "already") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	h.env[1] = "HOLDLINE_PASSWORD=wrong password"
	if r := h.run("", "chat", "bob"); r.Status != 1 || !strings.Contains(r.Stderr, "signing in as bob") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
}
