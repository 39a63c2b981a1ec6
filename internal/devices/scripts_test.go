package devices

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdline/internal/torture/netfault"
)

// everySecond is the address of a proxy for one client, of whose connections
// every second one breaks, each in another way.
func (w *world) everySecond() string {
	w.t.Helper()
	proxy := w.newProxy()
	proxy.Weather(breaking)
	return "http://" + proxy.Addr()
}

func breaking(n int64) netfault.Fault {
	if n%2 == 1 {
		return netfault.Fault{}
	}
	faults := []netfault.Fault{
		{Kind: netfault.CutBeforeAnswer}, {Kind: netfault.CutAnswer, After: 60}, {Kind: netfault.CutRequest, After: 40},
		{Kind: netfault.CutAnswer, After: 300, Reset: true}, {Kind: netfault.Refuse},
	}
	return faults[n/2%int64(len(faults))]
}

// texts are some of hostile; each costs these programs a second or so.
func texts() []string { return hostile()[:8] }

// example is the absolute path of a file in the folder examples.
func example(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil { // so that go test knows that the result depends on it
		t.Fatal(err)
	}
	return path
}

// home is a folder as HOLDLINE_DIR names it.
func home(t *testing.T, token string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "auth"), []byte("Authorization: Bearer "+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// The scripts for cron and for a terminal, by the smallest shells there are,
// while every second connection breaks, and the server is killed.
func TestShellScripts(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	for _, shell := range [][]string{{"dash"}, {"busybox", "sh"}} {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			shell := append([]string{program(t, shell[0])}, shell[1:]...)
			w := newWorld(t)
			group := w.ann.Group("bob")
			url := "HOLDLINE_URL=" + w.everySecond()
			env := program(t, "env")

			cursor := filepath.Join(t.TempDir(), "cursor")
			tail := slices.Concat([]string{env, "HOLDLINE_URL=" + w.everySecond(), "HOLDLINE_WAIT=2", "HOLDLINE_DIR=" + home(t, w.bob.Token)}, shell, []string{example(t, "sh/holdline-tail"), cursor, group})
			inbox := slices.Concat([]string{env, "HOLDLINE_URL=" + w.everySecond(), "HOLDLINE_WAIT=2", "HOLDLINE_DIR=" + home(t, w.bob.Token)}, shell, []string{example(t, "sh/holdline-tail"), cursor + ".inbox"})
			followers := []*follower{follow(t, "tail", tail...), follow(t, "tail of the inbox", inbox...)}

			outbox := home(t, w.ann.Token)
			send := func(try, text string, args ...string) (string, int) {
				t.Helper()
				argv := slices.Concat(shell, []string{example(t, "sh/holdline-send")}, args)
				cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
				cmd.Env = append(os.Environ(), url, "HOLDLINE_DIR="+outbox, "HOLDLINE_TRIES="+try)
				cmd.Stdin = strings.NewReader(text)
				out, _ := cmd.CombinedOutput() // the status says it
				return string(out), cmd.ProcessState.ExitCode()
			}
			sent := []string{}
			for i, text := range texts() {
				try := "1"
				if i%4 == 3 {
					try = "9" // until all that waits is delivered
				}
				if out, status := send(try, text, group); status != 0 && (status != 75 || try == "9") {
					t.Errorf("status %d: %s", status, out)
				}
				if sent = append(sent, text); i == 3 {
					w.restart()
				}
			}
			if out, status := send("9", ""); status != 0 {
				t.Errorf("status %d: %s", status, out)
			}
			if left := files(t, filepath.Join(outbox, "outbox")); len(left) > 0 {
				t.Errorf("still there: %q", left)
			}
			if out, status := send("9", strings.Repeat("x", 16<<10+1), group); status != 1 || !strings.Contains(out, `"field":"text"`) {
				t.Errorf("status %d: %s", status, out)
			}
			if refused := files(t, filepath.Join(outbox, "refused")); len(refused) != 1 {
				t.Errorf("refused: %q", refused)
			}
			w.ann.MustSend(group, "last", "last")

			var got []string
			for _, e := range w.bob.AllEvents(group)[1:] {
				got = append(got, e.Text)
			}
			got = got[:len(got)-1]
			compare(t, "sent", got, sent)
			want := w.textLines(group)
			for i, f := range followers {
				f.until("the last message", func() bool { return len(f.got) > 0 && strings.HasSuffix(f.got[len(f.got)-1], "\tlast") })
				if i == 1 {
					for j := range want {
						want[j] = group + "\t" + want[j]
					}
				}
				compare(t, f.name, f.got, want)
			}
		})
	}
}

// Python's standard library, in the same weather.
func TestPython(t *testing.T) {
	t.Parallel()
	python := program(t, "python3")
	script := example(t, "python/holdline.py")
	oldest := `import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), feature_version=(3, 8))`
	if out, errs, status := run(t, python, "-c", oldest, script); status != 0 {
		t.Errorf("no Python 3.8: %s%s", out, errs)
	}
	w := newWorld(t)
	group := w.ann.Group("bob")
	env, url := program(t, "env"), w.everySecond()
	as := func(token string, args ...string) []string {
		return append([]string{env, "HOLDLINE_TOKEN=" + token, python, script, url}, args...)
	}
	bob := func(args ...string) []string {
		return append([]string{env, "HOLDLINE_TOKEN=" + w.bob.Token, python, script, w.everySecond()}, args...)
	}
	state := filepath.Join(t.TempDir(), "state")
	followers := []*follower{
		follow(t, "python, inbox", bob("follow", "--state", state)...),
		follow(t, "python, conversation", bob("follow", "--conversation", group)...),
	}
	for i, text := range texts() {
		if i%3 > 0 {
			w.ann.MustSend(group, fmt.Sprint(i), text)
			continue
		}
		if out, errs, status := run(t, as(w.ann.Token, "send", group, text)...); status != 0 {
			t.Errorf("status %d: %s%s", status, out, errs)
		}
		if i == 3 {
			w.restart()
			followers[0].restart()
		}
	}
	events := w.bob.AllEvents(group)
	var want []string
	for i, text := range append([]string{""}, texts()...) {
		want = append(want, fmt.Sprintf("%d %q", i+1, text))
		if i >= len(events) || events[i].Text != text {
			t.Fatalf("event %d is not %q", i+1, text)
		}
	}
	for _, f := range followers {
		f.until("the whole log", func() bool { return len(f.once()) >= len(want) })
		var got []string
		for _, line := range f.once() {
			var e struct {
				Seq  int64
				Text string
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%d %q", e.Seq, e.Text))
		}
		compare(t, f.name, got, want)
	}
	if out, errs, status := run(t, as("hl_x", "follow", "--once")...); status != 3 {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}
