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

	"holdline/internal/browser"
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
func newWebKit(t *testing.T, address string) *browser.Page {
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
	p := &browser.Page{T: t, View: w}
	p.Size(1024, 700)
	p.Load(address)
	return p
}

// do does one thing and returns what it tells, as JSON.
func (w *webKit) Do(command string, argument any) ([]byte, error) {
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

func (w *webKit) Eval(expression string, v any) error {
	said, err := w.Do("eval", expression)
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

func (w *webKit) Input(command, argument string) error {
	_, err := w.Do(command, argument)
	return err
}

func (w *webKit) Resize(width, height int) error {
	_, err := w.Do("size", []int{width, height})
	return err
}

// In a real browser that is ten years old, with nothing taken from it.
func TestLegacyPageInWebKit(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := &Person{newWebKit(t, server.URL+"/"), "ann"}
	ann.Until("the door", Visible("door"))
	if at := ann.Text("location.pathname"); at != "/legacy" {
		t.Errorf("a browser is led to %s", at)
	}
	ann.Enter("join")
	bob := server.SignUp("bob")
	ann.Start("bob", "")
	ann.Until("the talk", Shows("title", "bob"))
	ann.Say("from WebKit")
	ann.Until("accepted", Shows("messages", "accepted"))
	talk := bob.Direct("ann")
	bob.Must(204, "POST", "/v1/acks", map[string]any{"read": map[string]int{talk: 2}}, nil)
	ann.Until("read", Shows("messages", "read"))
	for i, text := range hostile {
		bob.MustSend(talk, string(rune('a'+i)), text)
	}
	ann.Until("all of it, as text", Shows("messages", hostile[0])+" && "+Shows("messages", hostile[3])+" && "+Shows("messages", "two"))
	keepPicture(ann, false, "webkit")

	// A group: its title, what happens to it, and what is answered.
	group := bob.Group("ann")
	tell(bob, 200, "PATCH", group, "", map[string]string{"title": hostile[0]})
	reply(bob, group, "Yes, it is.", bob.MustSend(group, "q", hostile[3]).Seq)
	ann.Choose(hostile[0])
	ann.Until("all of it", Shows("messages", "bob: "+hostile[3])+" && "+Shows("messages", `bob named the group "`+hostile[0]+`"`))
	keepPicture(ann, false, "webkit-group")
	answers(ann, true)
	ann.Reach(El("quit"))
	ann.Press("Enter")
	ann.Until("it is left", Shows("state", "no longer")+" && !("+Shows("list", hostile[0])+")")
	ann.Choose("bob")

	server.Kill()
	ann.Until("the connection is gone", Shows("state", "No connection"))
	ann.Say("meanwhile")
	server = server.Again()
	bob = bob.At(server)
	ann.Until("sent", Shows("messages", "meanwhile")+" && !("+Shows("messages", "sending")+")")
	bob.MustSend(talk, "last", "after the crash")
	ann.Until("live again", Shows("messages", "after the crash"))

	ann.Reload()
	ann.Until("signed in by the cookie", Visible("home"))
	ann.Choose("bob")
	ann.Until("the history", Shows("messages", "after the crash")+" && "+Shows("messages", "from WebKit"))
	ann.Size(240, 320)
	keepPicture(ann, false, "webkit-narrow")
	ann.Reach(El("back"))
	ann.Press("Enter")
	ann.Reach(El("leave"))
	ann.Press("Enter")
	ann.Until("signed out", Visible("door"))
	if got := ann.Text("window.hacked"); got != "undefined" {
		t.Error("hacked")
	}
}
