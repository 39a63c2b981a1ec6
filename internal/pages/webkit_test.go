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
	"testing"
	"time"

	"holdline/internal/harness"
)

// webKit is the WebKit of 2016 that comes with Qt 5, led by webkit.py.
type webKit struct {
	mu  sync.Mutex
	in  *json.Encoder
	out chan []byte // closed when it is gone
}

// newWebKit opens a page in it. Debian has it, with Python's bindings; other
// versions of Python, beside the system's, do not see these.
func newWebKit(t *testing.T, address string) *page {
	t.Helper()
	python, err := harness.Program("/usr/bin/python3")
	if err == nil {
		err = exec.Command(python, "-c", "import PyQt5.QtWebKitWidgets").Run()
	}
	if err != nil {
		if err = errors.Join(err, harness.Install()); err != nil {
			if exec.Command("/usr/bin/python3", "-c", "import PyQt5.QtWebKitWidgets").Run() != nil {
				t.Fatalf("this test needs what Debian calls python3-pyqt5.qtwebkit: %v", err)
			}
		}
	}
	cmd := exec.Command("/usr/bin/python3", "webkit.py", t.TempDir())
	cmd.Env = append(os.Environ(), "QT_QPA_PLATFORM=offscreen", "XDG_RUNTIME_DIR="+t.TempDir(), "http_proxy=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = 10 * time.Second
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
	w := &webKit{in: json.NewEncoder(in), out: make(chan []byte, 1)}
	var ended sync.WaitGroup
	ended.Go(func() {
		defer close(w.out)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<22)
		for lines.Scan() {
			w.out <- bytes.Clone(lines.Bytes())
		}
	})
	t.Cleanup(func() {
		_ = in.Close() // it ends with its input
		ended.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("webkit.py: %v", err)
		}
		if t.Failed() {
			t.Logf("webkit.py wrote:\n%s", &stderr)
		}
	})
	p := &page{t, w}
	p.size(1024, 700)
	p.load(address)
	return p
}

// do does one thing and returns what it tells, as JSON.
func (w *webKit) do(command string, argument any) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.in.Encode([]any{command, argument}); err != nil {
		return nil, err
	}
	select {
	case said, ok := <-w.out:
		if !ok {
			return nil, errors.New("the WebKit is gone")
		}
		return said, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("%s is not answered", command)
	}
}

func (w *webKit) eval(expression string, v any) error {
	said, err := w.do("eval", expression)
	if err != nil {
		return err
	}
	var value *string
	if err := json.Unmarshal(said, &value); err != nil {
		return err
	}
	switch {
	case v == nil:
		return nil
	case value == nil:
		return fmt.Errorf("%s has no value", expression)
	}
	return json.Unmarshal([]byte(*value), v)
}

func (w *webKit) input(command, argument string) error {
	_, err := w.do(command, argument)
	return err
}

func (w *webKit) resize(width, height int) error {
	_, err := w.do("size", []int{width, height})
	return err
}

// In a real browser that is ten years old, with nothing taken from it.
func TestLegacyPageInWebKit(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := &person{newWebKit(t, server.URL+"/"), "ann"}
	ann.until("the door", visible("door"))
	if at := ann.text("location.pathname"); at != "/legacy" {
		t.Errorf("a browser is led to %s", at)
	}
	ann.enter("join")
	bob := server.SignUp("bob")
	ann.start("bob", "")
	ann.until("the talk", shows("title", "bob"))
	ann.say("from WebKit")
	ann.until("accepted", shows("messages", "accepted"))
	talk := bob.Direct("ann")
	bob.Must(204, "POST", "/v1/acks", map[string]any{"read": map[string]int{talk: 2}}, nil)
	ann.until("read", shows("messages", "read"))
	for i, text := range hostile {
		bob.MustSend(talk, string(rune('a'+i)), text)
	}
	ann.until("all of it, as text", shows("messages", hostile[0])+" && "+shows("messages", hostile[3])+" && "+shows("messages", "two"))
	keepPicture(ann, false, "webkit")

	server.Kill()
	ann.until("the connection is gone", shows("state", "No connection"))
	ann.say("meanwhile")
	server = server.Again()
	bob = bob.At(server)
	ann.until("sent", shows("messages", "meanwhile")+" && !("+shows("messages", "sending")+")")
	bob.MustSend(talk, "last", "after the crash")
	ann.until("live again", shows("messages", "after the crash"))

	ann.reload()
	ann.until("signed in by the cookie", visible("home"))
	ann.choose("bob")
	ann.until("the history", shows("messages", "after the crash")+" && "+shows("messages", "from WebKit"))
	ann.size(240, 320)
	keepPicture(ann, false, "webkit-narrow")
	ann.reach(el("back"))
	ann.press("Enter")
	ann.reach(el("leave"))
	ann.press("Enter")
	ann.until("signed out", visible("door"))
	if got := ann.text("window.hacked"); got != "undefined" {
		t.Error("hacked")
	}
}
