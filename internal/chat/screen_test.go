package chat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"holdline/internal/harness"
)

// terminal is a tmux of the test's own, in which the client runs.
type terminal struct {
	t      *testing.T
	socket string
	env    []string
}

func (h *home) terminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	dir, err := os.MkdirTemp("", "tmux") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, socket: filepath.Join(dir, "s"), env: append(append(os.Environ(), h.env...), env...)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(term.screen())
		}
		_, _ = term.tmux("kill-server") // it may have ended with its program
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	command := append([]string{"-f", "/dev/null", "-u", "new-session", "-d", "-x", "80", "-y", "24", harness.Binary(t)}, args...)
	if out, err := term.tmux(command...); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	term.must("set-option", "-g", "status", "off")
	return term
}

func (s *terminal) tmux(args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *terminal) must(args ...string) string {
	s.t.Helper()
	out, err := s.tmux(args...)
	if err != nil {
		s.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return out
}

func (s *terminal) screen() string {
	out, _ := s.tmux("capture-pane", "-p") // empty once it has ended
	return out
}

func (s *terminal) typed(text string) {
	s.t.Helper()
	s.must("send-keys", "-l", text)
	s.must("send-keys", "Enter")
}

// shows waits until the screen matches.
func (s *terminal) shows(pattern string) {
	s.t.Helper()
	wanted := regexp.MustCompile(pattern)
	harness.Eventually(s.t, pattern+" is on the screen", func() bool { return wanted.MatchString(s.screen()) })
}

// pressed presses a key until the screen matches.
func (s *terminal) pressed(key, pattern string) {
	s.t.Helper()
	wanted := regexp.MustCompile(pattern)
	harness.Eventually(s.t, pattern+" is on the screen", func() bool {
		if wanted.MatchString(s.screen()) {
			return true
		}
		s.must("send-keys", key)
		return false
	})
}

func TestTheScreen(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	server.SignUp("ann")
	bob := server.SignUp("bob")
	conversation := bob.Direct("ann")
	for i := range 60 {
		bob.MustSend(conversation, fmt.Sprint(i), fmt.Sprintf("number %d.", i))
	}
	h := newHome(t, server)
	s := h.terminal(t, []string{"NO_COLOR=1"}, "chat", "ann")
	s.shows(`(?m)^── Conversations ─+ ann at 127\.0\.0\.1:\d+ ──$`)
	s.shows(`(?m)^> 1  bob  \(60 unread\)  bob: number 59\.$`)
	s.must("send-keys", "Enter")
	s.shows(`(?m)^── bob ─`)
	s.shows(`bob: number 59\.\n── connected ─+ Tab: list  /help ──\n>`)
	if lines := strings.Count(s.screen(), "\n"); lines != 24 {
		t.Errorf("the screen has %d lines", lines)
	}

	// Send, ticks, receive.
	wide := "日本語 👍 and a text that is longer than a line of eighty cells, so that it is wrapped"
	s.typed(wide)
	s.shows(`(?m)^\d\d:\d\d ann: 日本語 👍 and a text that is longer than a line of   +✓$`)
	ack := func(kind string) {
		bob.Must(204, "POST", "/v1/acks", map[string]any{kind: map[string]int64{conversation: 62}}, nil)
	}
	ack("delivered")
	s.shows(`ann: 日本語 .* ✓✓\n`)
	ack("read")
	s.shows(`ann: 日本語 .* ✓✓ read\n`)
	bob.MustSend(conversation, "esc", "\x1b[31mno red\u202e")
	s.shows(`bob: \\u001b\[31mno red\\u202e\n`)
	s.must("send-keys", "C-t")
	s.shows(`\* #62 accepted \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n\* bob: delivered \d{4}-.*, read \d{4}-`)

	// Back through history, over the edge of what was loaded.
	s.pressed("PageUp", `\(the beginning\)\n(── .*\n)?\d\d:\d\d bob: number 0\.\n\d\d:\d\d bob: number 1\.`)
	s.shows(`PgDn: newer`)
	s.must("resize-window", "-x", "40", "-y", "12")
	s.shows(`(?m)^── bob ─* ann at 127\.0\.0\.1:\d+ ──$`)
	s.must("resize-window", "-x", "80", "-y", "24")
	s.pressed("PageDown", `read \d{4}-.*\n── connected.*Tab: list`)

	// The server goes, and comes back.
	server.Kill()
	s.shows(`── reconnecting`)
	s.typed("typed meanwhile")
	s.shows(`ann: typed meanwhile +…\n── 1 waiting to be sent, reconnecting`)
	server = server.Again()
	s.shows(`ann: typed meanwhile +✓\n── connected`)
	if got := texts(bob.At(server), conversation); got[len(got)-1] != "typed meanwhile" || got[len(got)-3] != wide {
		t.Errorf("the log ends with %q", got[len(got)-3:])
	}

	// No colour, and no command of bob's.
	if raw := s.must("capture-pane", "-p", "-e"); regexp.MustCompile(`\x1b\[[0-9;]*(3|4|9|10)[0-8]`).MatchString(raw) {
		t.Errorf("there are colours: %q", raw)
	}
	s.must("send-keys", "C-c")
	harness.Eventually(t, "the client ends", func() bool { return s.screen() == "" || strings.Contains(s.screen(), "no server") })
}

func TestTheScreenAsksForThePassword(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	server.SignUp("ann")
	h := newHome(t, server)
	h.env = h.env[:1]
	s := h.terminal(t, []string{"HOLDLINE_SERVER=" + server.URL}, "chat", "ann")
	s.shows(`^Password of ann: *\n`)
	s.typed(harness.Password)
	s.shows(`No conversations yet`)
	if strings.Contains(s.screen(), harness.Password) {
		t.Error("the password is on the screen")
	}
}

// The first conversation of all comes while the list is shown: it is marked, and Enter opens what is marked. Words that
// come all at once are text, also those that are names of keys.
func TestTheScreenOfSomebodyNew(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	server.SignUp("ann")
	bob := server.SignUp("bob")
	s := newHome(t, server).terminal(t, nil, "chat", "ann")
	s.shows(`No conversations yet[^─]*\n── connected`)
	conversation := bob.Direct("ann")
	bob.MustSend(conversation, "1", "welcome")
	s.shows(`(?m)^> 1  bob  \(1 unread\)  bob: welcome$`)
	s.must("send-keys", "Enter")
	s.shows(`(?m)^── bob ─[^>]*bob: welcome\n── connected`)
	words := "go home and delete the left end, up and down with backspace end"
	s.typed(words)
	s.shows(`(?m)^\d\d:\d\d ann: go .*✓$`)
	if got := texts(bob, conversation); got[len(got)-1] != words {
		t.Errorf("the log ends with %q", got[len(got)-1])
	}
}
