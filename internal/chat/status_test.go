package chat

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"holdline/internal/harness"
	"holdline/internal/subprocess"
)

// The exit status says what became of the message, also where the line that says it cannot be printed.
func TestTheStatusOfASendWithoutItsLine(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	h := newHome(t, server)
	h.env = append(h.env, "HOLDLINE_TOKEN="+ann.Token)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close() //nolint:errcheck // nothing was written
	for _, extra := range [][]string{nil, {"--spool", h.folder + "/spool"}} {
		c := exec.Command(harness.Plain(t), append([]string{"send", "--to", "bob", "stored"}, extra...)...)
		c.Env = append(subprocess.Environ(os.Environ()), h.env...)
		c.Stdout = full
		if err := c.Run(); err != nil {
			t.Errorf("%q: %v", extra, err)
		}
	}
	if r := h.run("", "send", "--to", "bob", "--token-file", h.folder, "x"); r.Status != 1 || strings.Contains(r.Stderr, "password") {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	// A script's input is no message just because its variable is empty.
	if r := h.run("what else the script reads\n", "send", "--to", "bob", ""); r.Status != 2 || r.Stdout != "" {
		t.Errorf("status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if got := texts(bob, bob.Direct("ann")); !slices.Equal(got, []string{"stored", "stored"}) {
		t.Errorf("the log holds %q", got)
	}
}
