package foreign

import (
	"bufio"
	"bytes"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// node runs a script of the folder node, and hands on each line that it
// writes. The script's input ends with the test.
func node(t *testing.T, script string, args ...string) <-chan []byte {
	t.Helper()
	dir, err := nodeFolder()
	if err != nil {
		t.Fatal(err)
	}
	program, err := nodeProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{script}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan []byte)
	gone, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(lines)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			select {
			case lines <- bytes.Clone(scanner.Bytes()):
			case <-gone: // nobody listens any more
			}
		}
		if err := scanner.Err(); err != nil {
			t.Errorf("reading what %s writes: %v", script, err)
		}
	}()
	t.Cleanup(func() {
		close(gone)
		_ = stdin.Close()
		if t.Failed() {
			_ = cmd.Process.Kill()
		}
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("node %s: %v\n%s", script, err, &stderr)
		}
	})
	return lines
}

// The EventSource of npm, with a header for the token as its users set it.
func TestNodeWithToken(t *testing.T) {
	t.Parallel()
	follow(t, false, func(w *world, base string) <-chan []byte {
		return node(t, "stream.mjs", base+w.path(), w.bob.Token)
	})
}

// The same compressed, and cut inside the compression's own head, in a block and between two.
func TestNodeWithGzip(t *testing.T) {
	t.Parallel()
	followCut(t, false, "5,300r,900,1200r", true, func(w *world, base string) <-chan []byte {
		return node(t, "stream.mjs", base+w.path(), w.bob.Token)
	})
}

// The same with a ticket in the address, which survives that the server is killed.
func TestNodeWithTicket(t *testing.T) {
	t.Parallel()
	follow(t, false, func(w *world, base string) <-chan []byte {
		return node(t, "stream.mjs", base+w.path()+"?ticket="+w.ticket())
	})
}

// A cursor of another epoch is told as an event; a stranger only sees that
// there is nothing, and the EventSource does not come back.
func TestNodeSeesWhyAStreamEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &eventSource{w: w, said: node(t, "stream.mjs", w.server.URL+w.path()+"?after=1-zzz", w.bob.Token)}
	s.ends("reset", "cursor_reset")
	s = &eventSource{w: w, said: node(t, "stream.mjs", w.server.URL+w.path(), w.server.SignUp("stranger").Token)}
	if got := s.next(); got.Kind != "error" || !got.Closed {
		t.Errorf("a stranger sees %+v", got)
	}
}

// The EventSource of npm, cut off once after each byte of a stream.
func TestNodeCutAtEveryByte(t *testing.T) {
	t.Parallel()
	w, log, length := shortWorld(t, time.Second)
	lines := node(t, "cuts.mjs", w.cutter.url, w.path()+"?ticket="+w.ticket(), strconv.Itoa(length), strconv.Itoa(len(log)))
	w.checkCuts(lines, log, length)
}
