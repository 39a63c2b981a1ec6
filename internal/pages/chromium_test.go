package pages

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdline/internal/harness"
)

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
// in it. TestMain ends it.
var shared = sync.OnceValues(func() (*chromium, error) {
	var err error
	started, err = startChromium()
	return started, err
})

// started is shared, if any test has used it.
var started *chromium

func startChromium() (*chromium, error) {
	path, err := harness.Program("chromium", "chromium-browser", "google-chrome")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "holdline-pages-*")
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
	cmd := exec.Command(path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
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

// profile is a set of tabs with cookies and storage of their own.
type profile struct {
	*chromium
	t      testing.TB
	id     string
	before string // the script that runs in every page before its own
}

// newProfile makes a profile that is gone with the test, and its tabs with it.
func newProfile(t testing.TB, before string) *profile {
	t.Helper()
	b, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID string `json:"browserContextId"`
	}
	p := &profile{b, t, "", before}
	p.must("", "Target.createBrowserContext", nil, &made)
	p.id = made.ID
	t.Cleanup(func() { p.must("", "Target.disposeBrowserContext", map[string]any{"browserContextId": p.id}, nil) })
	return p
}

func (p *profile) must(session, method string, params map[string]any, result any) {
	p.t.Helper()
	if err := p.call(session, method, params, result); err != nil {
		p.t.Fatal(err)
	}
}

// tab is a page that is open.
type tab struct {
	*profile
	target, session string
}

// open opens a page in a tab of its own.
func (p *profile) open(address string) (*page, *tab) {
	p.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	p.must("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": p.id, "newWindow": true}, &target)
	var attached struct {
		ID string `json:"sessionId"`
	}
	p.must("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b := &tab{p, target.ID, attached.ID}
	p.must(b.session, "Page.enable", nil, nil)
	// Each believes that it is looked at, though there are several.
	p.must(b.session, "Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	p.must(b.session, "Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": p.before}, nil)
	opened := &page{p.t, b}
	opened.load(address)
	return opened, b
}

func (b *tab) close() {
	b.t.Helper()
	b.must("", "Target.closeTarget", map[string]any{"targetId": b.target}, nil)
}

func (b *tab) eval(expression string, v any) error {
	var got struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := b.call(b.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &got)
	switch {
	case err != nil:
		return err
	case got.Exception != nil:
		return fmt.Errorf("%s: %s %s", expression, got.Exception.Text, got.Exception.Exception.Description)
	case v == nil:
		return nil
	}
	return json.Unmarshal(got.Result.Value, v)
}

// keys are those that people without a mouse need.
var keys = map[string]int{"Tab": 9, "Enter": 13}

func (b *tab) input(command, argument string) error {
	switch command {
	case "load":
		return b.call(b.session, "Page.navigate", map[string]any{"url": argument}, nil)
	case "reload":
		return b.call(b.session, "Page.reload", nil, nil)
	case "type":
		return b.call(b.session, "Input.insertText", map[string]any{"text": argument}, nil)
	case "press":
		event := map[string]any{"type": "keyDown", "key": argument, "code": argument, "windowsVirtualKeyCode": keys[argument]}
		if argument == "Enter" {
			event["text"] = "\r"
		}
		if err := b.call(b.session, "Input.dispatchKeyEvent", event, nil); err != nil {
			return err
		}
		event["type"] = "keyUp"
		delete(event, "text")
		return b.call(b.session, "Input.dispatchKeyEvent", event, nil)
	case "picture":
		var shot struct {
			Data []byte `json:"data"`
		}
		if err := b.call(b.session, "Page.captureScreenshot", nil, &shot); err != nil {
			return err
		}
		return os.WriteFile(argument, shot.Data, 0o600)
	}
	return fmt.Errorf("there is no input %s", command)
}

func (b *tab) resize(width, height int) error {
	return b.call(b.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// quoted is a string as JavaScript writes it.
func quoted(text string) string {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always can be
	}
	return string(literal)
}
