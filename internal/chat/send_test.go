package chat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"holdline/internal/harness"
)

// Promise 5: the exit status says what is certain.
func TestSendSaysWhatIsCertain(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	h := newHome(t, server)
	h.env = append(h.env, "HOLDLINE_TOKEN="+ann.Token)
	conversation := ann.Direct("bob")

	var swallow atomic.Bool
	proxy := swallower(t, server, &swallow)

	check := func(what string, r harness.Result, status int, out string) {
		t.Helper()
		if r.Status != status || r.Stdout != out {
			t.Errorf("%s: status %d, %q, %s", what, r.Status, r.Stdout, r.Stderr)
		}
	}
	check("to a handle", h.run("", "send", "--to", "bob", "--client-id", "c1", "hi"), 0, "accepted "+conversation+" 2 c1\n")
	check("to a conversation", h.run("from stdin\n", "send", "--to", conversation, "--client-id", "c2"), 0, "accepted "+conversation+" 3 c2\n")
	check("to nobody", h.run("", "send", "--to", "nobody", "--client-id", "c3", "hi"), 1, "refused c3\n")
	check("another text", h.run("", "send", "--to", "bob", "--client-id", "c1", "ho"), 1, "refused c1\n")
	check("nothing", h.run("", "send", "--to", "bob"), 2, "")
	check("too much", h.run(strings.Repeat("x", maxText+1), "send", "--to", "bob"), 2, "")
	check("a bad id", h.run("", "send", "--to", "bob", "--client-id", "a b", "hi"), 2, "")

	swallow.Store(true)
	check("no answer", h.run("", "send", "--server", proxy, "--to", "bob", "--client-id", "c4", "--timeout", "1s", "once"), 75, "unknown c4\n")
	swallow.Store(false)
	check("repeated", h.run("", "send", "--server", proxy, "--to", "bob", "--client-id", "c4", "once"), 0, "accepted "+conversation+" 4 c4\n")

	server.Kill()
	check("no server", h.run("", "send", "--to", "bob", "--client-id", "c5", "--timeout", "1s", "late"), 75, "unknown c5\n")
	if got := texts(bob.At(server.Again()), conversation); !slices.Equal(got, []string{"hi", "from stdin", "once"}) {
		t.Errorf("the log holds %q", got)
	}
}

func TestTheSpool(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	h := newHome(t, server)
	token := filepath.Join(h.folder, "token")
	if err := os.WriteFile(token, []byte(ann.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(h.folder, "spool")
	send := func(args ...string) harness.Result {
		t.Helper()
		return h.run("", append([]string{"send", "--token-file", token, "--spool", spool, "--timeout", "1s"}, args...)...)
	}
	files := func(ending string) []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(spool, "*"+ending))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	server.Kill()
	for i, to := range []string{"bob", "nobody", "bob"} {
		id := fmt.Sprintf("s%d", i)
		if r := send("--to", to, "--client-id", id, "text "+id); r.Status != 75 || !strings.Contains(r.Stdout, "unknown "+id+"\n") {
			t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
		}
	}
	if n := len(files(letterEnding)); n != 3 {
		t.Errorf("%d letters are kept", n)
	}
	server = server.Again()
	if r := send("--to", "bob", "--client-id", "s3", "text s3"); r.Status != 0 || !strings.Contains(r.Stderr, "nobody") || strings.Count(r.Stdout, "accepted ") != 3 || !strings.Contains(r.Stdout, "refused s1\n") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if got := texts(bob.At(server), bob.At(server).Direct("ann")); !slices.Equal(got, []string{"text s0", "text s2", "text s3"}) {
		t.Errorf("the log holds %q", got)
	}
	if left, refused := files(letterEnding), files(refusedEnding); len(left) != 0 || len(refused) != 1 {
		t.Errorf("left are %q and %q", left, refused)
	}
	// Another refusal does not take the first one's place.
	if r := send("--to", "nobody", "--client-id", "s4", "text s4"); r.Status != 1 || r.Stdout != "refused s4\n" || len(files(refusedEnding)) != 2 {
		t.Errorf("status %d: %s%s, %q", r.Status, r.Stdout, r.Stderr, files(refusedEnding))
	}
	if r := send(); r.Status != 0 || r.Stdout != "" {
		t.Errorf("an empty spool: status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}

	// A letter of somebody else's is not sent in this name.
	s, err := OpenSpool(spool, "another")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Keep(Letter{To: "bob", Text: "not mine", ClientID: "x"}); err != nil {
		t.Fatal(err)
	}
	if r := send(); r.Status != 1 || !strings.Contains(r.Stderr, "another holdline send") {
		t.Errorf("a spool in use: status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r := send(); r.Status != 75 || !strings.Contains(r.Stderr, "another account") {
		t.Errorf("a foreign letter: status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
}

// Promise 5: tail is killed again and again, and so is the server; all its lines together are the log.
func TestTailGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	server.SignUp("ann")
	bob := server.SignUp("bob")
	h := newHome(t, server)
	if r := h.run("", "chat", "ann"); r.Status != 0 { // which stores the session
		t.Fatalf("status %d: %s", r.Status, r.Stderr)
	}
	conversations := []string{bob.Direct("ann"), bob.Group("ann")}
	type line struct {
		ConversationID string `json:"conversation_id"`
		Seq            int64
		Text           string
	}
	got := map[string][]int64{}
	var last line // of the tail before
	state := filepath.Join(h.folder, "state")
	for round := range 4 {
		tail := h.startPlain("tail", "--state", state, "--from-start", "--json")
		for i := range 5 {
			for _, id := range conversations {
				bob.At(server).MustSend(id, fmt.Sprintf("%d-%d", round, i), fmt.Sprintf("%d-%d", round, i))
			}
			if round == 1 && i == 2 {
				server.Kill()
				server = server.Again()
			}
		}
		tail.Shows(fmt.Sprintf(`"text":"%d-4"`, round), round%2+1)
		tail.Kill()
		var l line
		for _, text := range strings.Split(strings.TrimSpace(tail.Output()), "\n") {
			l = line{}
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if l == last { // the one line that the kill may have made come twice
				continue
			}
			got[l.ConversationID] = append(got[l.ConversationID], l.Seq)
		}
		last = l
	}
	tail := h.startPlain("tail", "--state", state, "--json")
	for _, id := range conversations {
		bob.At(server).MustSend(id, "end", "end")
	}
	tail.Shows(`"text":"end"`, 2)
	if status := interrupt(tail); status != 0 {
		t.Errorf("status %d: %s", status, tail.Errors())
	}
	for _, text := range strings.Split(strings.TrimSpace(tail.Output()), "\n") {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if l != last {
			got[l.ConversationID] = append(got[l.ConversationID], l.Seq)
		}
	}
	for _, id := range conversations {
		for i, seq := range got[id] {
			if seq != int64(i)+1 {
				t.Fatalf("%s: %d", id, got[id])
			}
		}
		if len(got[id]) != 22 {
			t.Errorf("%s: %d events", id, len(got[id]))
		}
	}
	// Columns, one conversation, and a place that belongs to another reader.
	tail = h.start("tail", "--conversation", conversations[0], "--from-start", "--long-poll")
	tail.Shows("\tmessage\t", 20)
	if status := interrupt(tail); status != 0 {
		t.Errorf("status %d: %s", status, tail.Errors())
	}
	if r := h.run("", "tail", "--conversation", conversations[0], "--state", state); r.Status != 1 || !strings.Contains(r.Stderr, "another reader") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
}
