package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"holdline/internal/harness"
)

// step is one command of a document, and what it says comes out.
type step struct {
	command, output string
}

// session reads a document's console blocks: lines with "$ " are commands,
// those below are what the command prints.
func session(document string) []step {
	var steps []step
	inside := false
	for line := range strings.Lines(document) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "```console":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case !inside:
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{command: line[2:]})
		case len(steps) > 0:
			steps[len(steps)-1].output += line + "\n"
		}
	}
	return steps
}

// changing is what differs from run to run, and what stands for it.
var changing = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`hl_[0-9A-Za-z]{11}_[0-9A-Za-z_-]{43}`), "TOKEN"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z`), "TIME"},
	{regexp.MustCompile(`"[0-9A-Za-z]{11}"`), `"ID"`},
	{regexp.MustCompile(`\t[0-9A-Za-z]{11}\t`), "\tID\t"},
	{regexp.MustCompile(`(?m)^[0-9A-Za-z]{11}\t`), "ID\t"},
	{regexp.MustCompile(`(cursor"?: ?"?)A[0-9A-Za-z_-]{13,127}`), "${1}INBOX"},
	{regexp.MustCompile(`\b(\d+)-[0-9A-Za-z]{6}\b`), "$1-EPOCH"},
	{regexp.MustCompile(`(?m)^retry: \d+$`), "retry: RETRY"},
}

var address = regexp.MustCompile(`\b127\.0\.0\.1([:/ ])8080\b`)

func fixed(text string) string {
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.name)
	}
	return text
}

// The sessions of the README and of other documents, run as they stand by bash
// against a fresh server, print what the documents say.
func TestReadmeSession(t *testing.T)      { replay(t, "../../README.md", 15) }
func TestConstrainedSession(t *testing.T) { replay(t, "../../docs/constrained.md", 20) }
func TestShellsSession(t *testing.T)      { replay(t, "../../docs/shells.md", 30) }
func TestDevicesSession(t *testing.T)     { replay(t, "../../docs/devices.md", 10) }

// replay runs the session of a document that has at least so many commands, in
// a folder that has the folder examples in it.
func replay(t *testing.T, path string, least int) {
	t.Helper()
	t.Parallel()
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	steps := session(string(document))
	if len(steps) < least {
		t.Fatalf("only %d commands found", len(steps))
	}
	dir := t.TempDir()
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(examples, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path) // so that go test knows that the result depends on it
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(examples, filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	s := harness.Start(t, harness.Config{NoRace: true})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for i, step := range steps {
		fmt.Fprintf(&script, "echo '--- %d'\n%s\n", i, step.command)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-s")
	cmd.Dir = dir
	// The address stands there as a URL, and as host and port.
	cmd.Stdin = strings.NewReader(address.ReplaceAllString(script.String(), "127.0.0.1${1}"+port))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	rest := out.String()
	for i, step := range steps {
		_, after, found := strings.Cut(rest, fmt.Sprintf("--- %d\n", i))
		if !found {
			t.Fatalf("command %d was not run: %s\n%s", i, step.command, rest)
		}
		got, _, _ := strings.Cut(after, fmt.Sprintf("--- %d\n", i+1))
		if fixed(got) != fixed(step.output) {
			t.Errorf("$ %s\nprints\n%s\n%s says\n%s", step.command, fixed(got), path, fixed(step.output))
		}
		rest = after
	}
}
