package together

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"holdline/internal/subprocess"
)

// process is a client that runs as a program and prints lines.
type process struct {
	in io.WriteCloser

	mu    sync.Mutex
	lines []string
	ended error // set when its output has ended
}

// start starts a program that ends with the test.
func start(t *testing.T, env []string, argv ...string) *process {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(subprocess.Environ(os.Environ()), env...)
	cmd.SysProcAttr = subprocess.Attributes()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	p := &process{}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in = in
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
		p.mu.Lock()
		p.ended = fmt.Errorf("%s has ended: %w", argv[0], io.EOF)
		p.mu.Unlock()
	})
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // it may have ended
		reading.Wait()
		_ = cmd.Wait() // as it was killed
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("%v wrote:\n%.4000s", argv, &stderr)
		}
	})
	return p
}

// write writes a line to its input.
func (p *process) write(line string) error {
	_, err := io.WriteString(p.in, line+"\n")
	return err
}

// count is how many of its lines begin with a text.
func (p *process) count(text string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if strings.HasPrefix(line, text) {
			n++
		}
	}
	return n
}

// shown are the messages among its lines, by what read makes of one.
func (p *process) shown(read func(line string) (said, bool)) ([]said, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []said
	for _, line := range p.lines {
		if s, ok := read(line); ok {
			all = append(all, s)
		}
	}
	return all, p.ended
}
