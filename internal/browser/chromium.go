package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"holdline/internal/harness"
)

// patience bounds every wait for something that must happen soon.
const patience = time.Minute

// chromium is a Chromium without a window, led by its DevTools protocol over a
// pipe: messages of JSON, a NUL behind each (--remote-debugging-pipe).
type chromium struct {
	in    *os.File
	close func() // returns when it is gone

	mu    sync.Mutex
	last  int
	calls map[int]chan reply // nil once the browser is gone
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// shared is the one Chromium of all tests, each of which has profiles of its own
// in it.
var shared = sync.OnceValues(func() (*chromium, error) {
	var err error
	started, err = startChromium()
	return started, err
})

// started is shared, if any test has used it.
var started *chromium

// End ends the browser that the tests have used, if any did: for TestMain.
func End() {
	if started != nil {
		started.close()
	}
}

func startChromium() (*chromium, error) {
	path, err := harness.Program("chromium", "chromium-browser", "google-chrome")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "holdline-browser-*")
	if err != nil {
		return nil, err
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--no-default-browser-check", "--no-proxy-server", "--disable-background-networking",
		"--disable-component-update", "--disable-breakpad", "--disable-default-apps", "--disable-extensions", "--disable-sync",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		// Nothing but this machine is there.
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as the flag wants it
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		return nil, err
	}
	b := &chromium{in: in, calls: map[int]chan reply{}}
	var ended sync.WaitGroup
	ended.Go(func() { _ = cmd.Wait() }) // it is killed in the end
	ended.Go(func() { b.read(out) })
	b.close = func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // all of its processes; they may be gone
		_ = in.Close()
		ended.Wait()
		_, _ = out.Close(), os.RemoveAll(dir)
	}
	// It answers, or says why not.
	if err := b.call("", "Browser.getVersion", nil, nil); err != nil {
		b.close()
		return nil, fmt.Errorf("%s: %w: %s", path, err, &stderr)
	}
	return b, nil
}

// read hands each answer to its caller until the browser is gone.
func (b *chromium) read(out *os.File) {
	messages := bufio.NewReader(out)
	for {
		text, err := messages.ReadBytes(0)
		var r reply
		if err == nil {
			err = json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &r)
		}
		b.mu.Lock()
		if err != nil {
			for _, waiting := range b.calls {
				close(waiting)
			}
			b.calls = nil
			b.mu.Unlock()
			return
		}
		if waiting := b.calls[r.ID]; waiting != nil {
			delete(b.calls, r.ID)
			waiting <- r
		}
		b.mu.Unlock()
	}
}

// call gives a command of the protocol, to the tab of a session or, with "", to the browser.
func (b *chromium) call(session, method string, params map[string]any, result any) error {
	b.mu.Lock()
	if b.calls == nil {
		b.mu.Unlock()
		return errors.New("the browser is gone")
	}
	b.last++
	waiting := make(chan reply, 1)
	b.calls[b.last] = waiting
	message := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case r, ok := <-waiting:
		switch {
		case !ok:
			return errors.New("the browser is gone")
		case r.Error != nil:
			return fmt.Errorf("%s: %s", method, r.Error.Message)
		case result != nil:
			return json.Unmarshal(r.Result, result)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s is not answered", method)
	}
}
