package foreign

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdline/internal/harness"
)

// curl reads lines with curl -N and hands them on. The channel closes when
// curl has ended.
func curl(t *testing.T, args ...string) <-chan string {
	t.Helper()
	path, err := harness.Program("curl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"-N", "--silent", "--show-error", "--noproxy", "*"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	gone, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(lines)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, maxFrame)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-gone:
			}
		}
	}()
	t.Cleanup(func() {
		close(gone)
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		_ = cmd.Wait() // as it was ended
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("curl: %s", &stderr)
		}
	})
	return lines
}

// line is the next one; not ok when curl has ended.
func nextLine(t *testing.T, lines <-chan string) (line string, ok bool) {
	t.Helper()
	select {
	case line, ok = <-lines:
		return line, ok
	case <-time.After(patience):
		t.Fatal("curl gets nothing more")
		panic("not reached")
	}
}

// A shell follows a conversation by lines, sees the server killed, and goes on
// behind the first field of the last line it has. It is HTTP/1.1 first, then
// HTTP/1.0. An empty line is a heartbeat, and one is there at once.
func TestCurlLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--heartbeat=200ms")
	w.say(shortTexts...)
	w.happen()
	w.say(longTexts()...)
	early := w.log(w.bob)

	var got []string
	take := func(lines <-chan string, until int) {
		t.Helper()
		if line, ok := nextLine(t, lines); !ok || line != "" {
			t.Errorf("the first line is %q, not a heartbeat", line)
		}
		for len(got) < until {
			line, ok := nextLine(t, lines)
			if !ok {
				t.Fatalf("curl ended after %d lines", len(got))
			}
			if line != "" {
				got = append(got, line)
			}
		}
		for range 2 {
			if line, ok := nextLine(t, lines); !ok || line != "" {
				t.Errorf("line %q (%v) behind the end", line, ok)
			}
		}
	}
	arguments := func() []string {
		return []string{"-H", "Accept: text/plain", "-H", "Authorization: Bearer " + w.bob.Token}
	}
	lines := curl(t, append(arguments(), w.server.URL+w.path())...)
	take(lines, len(early))
	w.restart()
	for {
		if line, ok := nextLine(t, lines); !ok {
			break
		} else if line != "" {
			t.Errorf("line %q from a server that was killed", line)
		}
	}
	w.say(shortTexts...)
	log := w.log(w.bob)
	seq, _, _ := strings.Cut(got[len(got)-1], "\t")
	lines = curl(t, append(arguments(), "--http1.0", w.server.URL+w.path()+"?after="+seq)...)
	take(lines, len(log))
	w.checkLines(got, log)

	// Why a stream cannot go on stands in a line that no event's looks like.
	w.bob.Must(http.StatusNoContent, http.MethodDelete, "/v1/sessions/current", nil, nil)
	last := ""
	for {
		line, ok := nextLine(t, lines)
		if !ok {
			break
		}
		if line != "" {
			last = line
		}
	}
	if !strings.HasPrefix(last, "# unauthorized: ") {
		t.Errorf("the last line is %q", last)
	}
}

// checkLines compares lines with the log: each has five fields, and the text
// of a message comes back when its escapes are undone.
func (w *world) checkLines(lines []string, log []entry) {
	w.t.Helper()
	if len(lines) != len(log) {
		w.t.Fatalf("%d lines of %d events", len(lines), len(log))
	}
	for i, line := range lines {
		var e struct {
			Type       string `json:"type"`
			SenderID   string `json:"sender_id"`
			AcceptedAt string `json:"accepted_at"`
			Text       string `json:"text"`
		}
		if err := json.Unmarshal([]byte(log[i].data), &e); err != nil {
			w.t.Fatal(err)
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 5 || fields[0] != strconv.Itoa(i+1) || fields[1] != e.AcceptedAt || fields[2] != e.Type || fields[3] != e.SenderID {
			w.t.Errorf("line %d is %.300q", i+1, line)
			continue
		}
		if e.Type != "message" {
			continue
		}
		text, err := strconv.Unquote(`"` + strings.ReplaceAll(fields[4], `"`, `\"`) + `"`)
		if err != nil || text != e.Text {
			w.t.Errorf("line %d: %v, the text is %.300q instead of %.300q", i+1, err, text, e.Text)
		}
	}
}
