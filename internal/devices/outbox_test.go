package devices

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// holdlineSend runs the script for cron by a shell, and returns what it said and its status.
func holdlineSend(t *testing.T, shell, dir, url, tries, text string, args ...string) (string, int) {
	t.Helper()
	argv := slices.Concat([]string{program(t, "busybox"), shell, example(t, "sh/holdline-send")}, args)
	if shell == "dash" {
		argv = slices.Concat([]string{program(t, "dash")}, argv[2:])
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "HOLDLINE_URL="+url, "HOLDLINE_DIR="+dir, "HOLDLINE_TRIES="+tries)
	cmd.Stdin = strings.NewReader(text)
	out, _ := cmd.CombinedOutput() // the status says it
	return string(out), cmd.ProcessState.ExitCode()
}

// What waits is sent in the order it was written, also what was written within one second.
func TestTheScriptsOutboxIsInOrder(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	w := newWorld(t)
	for _, shell := range []string{"dash", "sh"} {
		group := w.ann.Group("bob")
		dir := home(t, w.ann.Token)
		var want []string
		for i := range 12 {
			text := fmt.Sprint("text ", i)
			want = append(want, text)
			if out, status := holdlineSend(t, shell, dir, "http://127.0.0.1:9", "1", text, group); status != 75 {
				t.Fatalf("status %d: %s", status, out)
			}
		}
		if out, status := holdlineSend(t, shell, dir, w.server.URL, "1", ""); status != 0 {
			t.Fatalf("status %d: %s", status, out)
		}
		var got []string
		for _, e := range w.ann.AllEvents(group)[1:] {
			got = append(got, e.Text)
		}
		compare(t, shell, got, want)
	}
}

// Another run may have sent a message while this one waited to repeat it. That is no refusal.
func TestAMessageThatAnotherRunHasSent(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	for _, shell := range []string{"dash", "sh"} {
		dir := home(t, "token")
		f := newFake(t, func(n int, _ *http.Request) reply {
			if n > 0 { // curl sends no text then
				return reply{raw: problem("400 Bad Request", "invalid")}
			}
			sent, err := filepath.Glob(filepath.Join(dir, "outbox", "*"))
			if err != nil || len(sent) != 1 || os.Remove(sent[0]) != nil {
				t.Errorf("%q, %v", sent, err)
			}
			return reply{raw: problem("503 Service Unavailable", "unavailable")}
		})
		out, status := holdlineSend(t, shell, dir, "http://"+f.listener.Addr().String(), "2", "x", conversation)
		if status != 0 || out != "" {
			t.Errorf("%s: status %d: %s", shell, status, out)
		}
	}
}

// What a portal answers in the server's place, without the server's code, is no refusal to Python's either.
func TestPythonBehindAPortal(t *testing.T) {
	t.Parallel()
	python := program(t, "python3")
	data, _ := event(5)
	f := newFake(t, func(n int, r *http.Request) reply {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		return reply{raw: []string{sized("302 Found", "", "Location: http://portal/"), sized("403 Forbidden", `{"error":"sign in"}`), sized("201 Created", data)}[min(n, 2)]}
	})
	argv := []string{program(t, "env"), "HOLDLINE_TOKEN=token", python, example(t, "python/holdline.py"), "http://" + f.listener.Addr().String(), "send", conversation, "x"}
	if out, errs, status := run(t, argv...); out != "5\n" || status != 0 {
		t.Errorf("status %d, %q, %s", status, out, errs)
	}
}

// A follower does not ask as fast as the line is, and names a host of IPv6 as HTTP wants it.
func TestWaitAndHost(t *testing.T) {
	t.Parallel()
	if out, errs, status := run(t, compile(t, sanitized), "127.0.0.1", "1", "token", "follow", "--wait", "0"); status != 2 {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	host := ""
	f := newFake(t, func(_ int, r *http.Request) reply {
		host = r.Host
		return reply{raw: sized("200 OK", page(1))}
	})
	_, port, err := net.SplitHostPort(f.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const mapped = "::ffff:127.0.0.1" // by IPv6's sockets, to where IPv4 listens
	if out, errs, status := run(t, compile(t, sanitized), mapped, port, "token", "follow", "--once", "--conversation", conversation); status != 0 {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	f.requests() // after which the answer has been made
	if want := net.JoinHostPort(mapped, port); host != want {
		t.Errorf("the host is %s instead of %s", host, want)
	}
}

// What the scripts show of a refusal cannot steer the terminal.
func TestTheScriptsShowARefusalPlainly(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	f := newFake(t, func(int, *http.Request) reply { return reply{raw: sized("403 Forbidden", "{\"code\":\"no\"}\x1b[31m")} })
	url := "http://" + f.listener.Addr().String()
	for _, shell := range []string{"dash", "sh"} {
		if out, status := holdlineSend(t, shell, home(t, "token"), url, "1", "x", conversation); status != 1 || strings.Contains(out, "\x1b") || !strings.Contains(out, `{"code":"no"}`) {
			t.Errorf("%s: status %d: %q", shell, status, out)
		}
	}
	argv := []string{program(t, "env"), "HOLDLINE_URL=" + url, "HOLDLINE_DIR=" + home(t, "token"), program(t, "dash"), example(t, "sh/holdline-tail"), filepath.Join(t.TempDir(), "cursor")}
	if out, errs, status := run(t, argv...); status != 1 || strings.Contains(out+errs, "\x1b") || !strings.Contains(errs, `{"code":"no"}`) {
		t.Errorf("status %d: %q", status, out+errs)
	}
}
