package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// Profile is a set of tabs with cookies and storage of their own.
type Profile struct {
	*chromium
	T      testing.TB
	id     string
	before string // the script that runs in every page before its own
}

// NewProfile makes a profile that is gone with the test, and its tabs with it. The
// script before, if any, runs in every page before its own.
func NewProfile(t testing.TB, before string) *Profile {
	t.Helper()
	b, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID string `json:"browserContextId"`
	}
	p := &Profile{b, t, "", before}
	p.must("", "Target.createBrowserContext", nil, &made)
	p.id = made.ID
	t.Cleanup(func() { p.must("", "Target.disposeBrowserContext", map[string]any{"browserContextId": p.id}, nil) })
	return p
}

func (p *Profile) must(session, method string, params map[string]any, result any) {
	p.T.Helper()
	if err := p.call(session, method, params, result); err != nil {
		p.T.Fatal(err)
	}
}

// Tab is a page that is open.
type Tab struct {
	*Profile
	target, session string
}

// Open opens a page in a tab of its own.
func (p *Profile) Open(address string) (*Page, *Tab) {
	p.T.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	p.must("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": p.id, "newWindow": true}, &target)
	var attached struct {
		ID string `json:"sessionId"`
	}
	p.must("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b := &Tab{p, target.ID, attached.ID}
	p.must(b.session, "Page.enable", nil, nil)
	// Each believes that it is looked at, though there are several.
	p.must(b.session, "Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	p.must(b.session, "Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": p.before}, nil)
	opened := &Page{p.T, b}
	opened.Load(address)
	return opened, b
}

// Close closes the tab, and with it the page.
func (b *Tab) Close() {
	b.T.Helper()
	b.must("", "Target.closeTarget", map[string]any{"targetId": b.target}, nil)
}

// Freeze stops the page as the browser stops one that nobody looks at: its timers stand still, what
// comes for it waits. Thaw lets it go on.
func (b *Tab) Freeze() { b.T.Helper(); b.lifecycle("frozen") }

// Thaw lets a page go on that is frozen.
func (b *Tab) Thaw() { b.T.Helper(); b.lifecycle("active") }

func (b *Tab) lifecycle(state string) {
	b.T.Helper()
	// A page that is looked at is never frozen.
	b.must(b.session, "Emulation.setFocusEmulationEnabled", map[string]any{"enabled": state == "active"}, nil)
	b.must(b.session, "Page.setWebLifecycleState", map[string]any{"state": state}, nil)
}

// Eval implements View.
func (b *Tab) Eval(expression string, v any) error {
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

// Input implements View.
func (b *Tab) Input(command, argument string) error {
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

// Resize implements View.
func (b *Tab) Resize(width, height int) error {
	return b.call(b.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Quoted is a string as JavaScript writes it.
func Quoted(text string) string {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always can be
	}
	return string(literal)
}
