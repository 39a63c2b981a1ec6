package together

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"holdline/internal/harness"
	"holdline/internal/subprocess"
)

func (g *group) program(name string) string {
	g.t.Helper()
	path, err := harness.Program(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return path
}

// example is the absolute path of a file in the folder examples.
func (g *group) example(name string) string {
	g.t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "examples", name))
	if err == nil {
		_, err = os.Stat(path) // so that go test knows that the result depends on it
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return path
}

// textLine reads a line of the server's text form, which both print.
func (g *group) textLine(line string) (said, bool) {
	if strings.HasPrefix(line, "# complete") {
		return said{}, false
	}
	field := strings.Split(line, "\t")
	if len(field) != 5 {
		return said{who: line}, true // which no log holds
	}
	seq, err := strconv.ParseInt(field[0], 10, 64)
	return said{seq, g.names[field[3]], field[4]}, err == nil && field[2] == "message"
}

// send runs a program that sends one message, as often as it says that it has not been able to.
func (g *group) send(tryAgain int, env []string, stdin string, argv ...string) error {
	for {
		cmd := exec.CommandContext(g.t.Context(), argv[0], argv[1:]...)
		cmd.Env = append(subprocess.Environ(os.Environ()), env...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() == tryAgain {
			argv, stdin = argv[:len(argv)-1], ""
			continue
		}
		if err != nil {
			return errors.Join(err, fmt.Errorf("%s", out))
		}
		return nil
	}
}

// device is the C client, following by server-sent events.
func (g *group) device(handle, token string) client {
	program := filepath.Join(g.t.TempDir(), "holdline-c")
	compile := exec.CommandContext(g.t.Context(), g.program("gcc"), "-std=c99", "-Os", "-o", program, g.example("c/holdline.c"))
	if out, err := compile.CombinedOutput(); err != nil {
		g.t.Fatalf("%v: %s", err, out)
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(g.server.URL, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	p := harness.StartChild(g.t, nil, program, host, port, token, "follow", "--sse", "--conversation", g.id)
	return client{handle, func(text string) error {
		return g.send(-1, nil, "", program, host, port, token, "send", g.id, text)
	}, func() ([]said, error) { return shown(p, g.textLine) }}
}

// curl are the scripts of examples/sh, run as cron runs them.
func (g *group) curl(handle, token string) client {
	g.program("curl")
	shell, dir := g.program("dash"), g.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "auth"), []byte("Authorization: Bearer "+token+"\n"), 0o600); err != nil {
		g.t.Fatal(err)
	}
	env := []string{"HOLDLINE_URL=" + g.server.URL, "HOLDLINE_DIR=" + dir}
	p := harness.StartChild(g.t, env, shell, g.example("sh/holdline-tail"), filepath.Join(dir, "cursor"), g.id)
	const later = 75 // it is kept, and what the next run without arguments sends
	return client{handle, func(text string) error {
		return g.send(later, env, text, shell, g.example("sh/holdline-send"), g.id)
	}, func() ([]said, error) { return shown(p, g.textLine) }}
}
