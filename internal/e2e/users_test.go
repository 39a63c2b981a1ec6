package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// command runs a user command that must succeed and returns what it printed.
func command(t *testing.T, database, stdin string, args ...string) string {
	t.Helper()
	r := harness.Run(t, stdin, append(append([]string{"user"}, args...), "--database", database)...)
	if r.Status != 0 {
		t.Fatalf("holdline user %s: status %d: %s", strings.Join(args, " "), r.Status, r.Stderr)
	}
	return r.Stdout
}

// All of it beside a running server.
func TestUserCommands(t *testing.T) {
	testdb.Each(t, func(t *testing.T, database string) {
		s := harness.Start(t, harness.Config{Database: database, Args: []string{"--signup=closed", "--sweep=100ms"}})

		if out := command(t, database, "first password\n", "add", "ann", "--owner", "--display-name", "Ann B."); !strings.Contains(out, "ann") {
			t.Errorf("add said %q", out)
		}
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte("bob's password\r\nnot this line\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		command(t, database, "", "add", "bob", "--password-file", file)
		list := command(t, database, "", "list")
		for _, want := range []string{"ann", "owner", "Ann B.", "bob", "user", "enabled"} {
			if !strings.Contains(list, want) {
				t.Errorf("the list does not hold %q:\n%s", want, list)
			}
		}

		ann, bob := s.SignIn("ann", "first password"), s.SignIn("bob", "bob's password")
		conversation := ann.Direct("bob")
		ann.MustSend(conversation, "1", "hello")

		command(t, database, "second password\n", "passwd", "ann")
		harness.Eventually(t, "ann's old session ends", func() bool { return status(t, ann, "/v1/me") == http.StatusUnauthorized })
		if a, err := s.Client().Call(t.Context(), http.MethodPost, "/v1/sessions", map[string]string{"handle": "ann", "password": "first password"}); err != nil || a.Status != http.StatusUnauthorized {
			t.Errorf("the old password: status %d, %v", a.Status, err)
		}
		ann = s.SignIn("ann", "second password")

		if out := command(t, database, "", "end-sessions", "ann"); !strings.Contains(out, "1 session") {
			t.Errorf("end-sessions said %q", out)
		}
		harness.Eventually(t, "ann's session ends", func() bool { return status(t, ann, "/v1/me") == http.StatusUnauthorized })

		disableEndsStream(t, database, bob, conversation)
		if list := command(t, database, "", "list"); !strings.Contains(list, "disabled") {
			t.Errorf("bob is not listed as disabled:\n%s", list)
		}
		if a, err := s.Client().Call(t.Context(), http.MethodPost, "/v1/sessions", map[string]string{"handle": "bob", "password": "bob's password"}); err != nil || a.Status != http.StatusUnauthorized {
			t.Errorf("a disabled account signs in: status %d, %v", a.Status, err)
		}

		for range 2 { // the second time changes nothing
			if out := command(t, database, "", "enable", "bob"); !strings.Contains(out, "Enabled bob") {
				t.Errorf("enable said %q", out)
			}
		}
		if status := status(t, bob, "/v1/me"); status != http.StatusUnauthorized {
			t.Errorf("the session of before is let in: status %d", status)
		}
		s.SignIn("bob", "bob's password").MustSend(conversation, "2", "back again")
		if list := command(t, database, "", "list"); strings.Contains(list, "disabled") {
			t.Errorf("bob is still listed as disabled:\n%s", list)
		}
	})
}

func status(t *testing.T, c *harness.Client, path string) int {
	t.Helper()
	a, err := c.Call(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a.Status
}

// disableEndsStream holds a stream open, disables its user from the command
// line, and sees the stream say so and end.
func disableEndsStream(t *testing.T, database string, bob *harness.Client, conversation string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := bob.Stream(ctx, conversation, "")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for {
		f, ok, err := stream.Next()
		if !ok {
			t.Fatalf("the stream ended before it began: %v", err)
		}
		if f.Event == "message" {
			break
		}
	}
	command(t, database, "", "disable", "bob")
	var last harness.Frame
	for {
		f, ok, err := stream.Next()
		if err != nil {
			t.Fatalf("the stream broke instead of ending: %v", err)
		}
		if !ok {
			break
		}
		last = f
	}
	if last.Event != "end" || last.ID != "" || !strings.Contains(last.Data, `"unauthorized"`) {
		t.Errorf("the stream's last event: %+v", last)
	}
	if stream.Retry() != "60000" {
		t.Errorf("retry: %q", stream.Retry())
	}
}

func TestSignUpsFromOneAddressAreLimited(t *testing.T) {
	s := harness.Start(t, harness.Config{Args: []string{"--max-signups-per-address=2"}})
	s.SignUp("ann")
	s.SignUp("bob")
	a, err := s.Client().Call(t.Context(), http.MethodPost, "/v1/users", map[string]string{"handle": "cleo", "password": harness.Password})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusTooManyRequests || a.Problem().Code != "rate_limited" || a.Header.Get("Retry-After") != "1800" {
		t.Errorf("the third of two: %d %v %s", a.Status, a.Header, a.Body)
	}
}

func TestUserCommandsSayWhatIsWrong(t *testing.T) {
	testdb.Each(t, func(t *testing.T, database string) {
		command(t, database, "a password\n", "add", "ann")
		for name, c := range map[string]struct {
			stdin  string
			args   []string
			status int
			naming string
		}{
			"handle taken":       {"a password\n", []string{"add", "ann"}, 1, "taken"},
			"handle impossible":  {"a password\n", []string{"add", "Ann!"}, 2, "a-z"},
			"password short":     {"short\n", []string{"add", "bob"}, 1, "8"},
			"password missing":   {"", []string{"passwd", "ann"}, 1, "8"},
			"nobody's password":  {"a password\n", []string{"passwd", "zoe"}, 1, `"zoe"`},
			"nobody disabled":    {"", []string{"disable", "zoe"}, 1, `"zoe"`},
			"nobody enabled":     {"", []string{"enable", "zoe"}, 1, `"zoe"`},
			"nobody signed out":  {"", []string{"end-sessions", "zoe"}, 1, `"zoe"`},
			"password as a flag": {"", []string{"add", "bob", "--password=a password"}, 2, "--password"},
			"no handle":          {"", []string{"add"}, 2, "handle"},
			"file missing":       {"", []string{"add", "bob", "--password-file=/no/such/file"}, 1, "/no/such/file"},
			"name of two lines":  {"a password\n", []string{"add", "bob", "--display-name=a\nb"}, 1, "display_name"},
		} {
			r := harness.Run(t, c.stdin, append(append([]string{"user"}, c.args...), "--database", database)...)
			if r.Status != c.status || !strings.Contains(r.Stderr, c.naming) {
				t.Errorf("%s: status %d, %q", name, r.Status, r.Stderr)
			}
		}
	})
}

func TestUserCommandsDoNotMakeAFileByMistake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mistyped.db")
	r := harness.Run(t, "", "user", "list", "--database", "sqlite:"+path)
	if _, err := os.Stat(path); r.Status != 1 || !strings.Contains(r.Stderr, path) || !os.IsNotExist(err) {
		t.Errorf("%+v, %v", r, err)
	}
}
