package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// View is a page in one of the browsers.
type View interface {
	// Eval evaluates an expression in the page; v gets its value, unless it is nil.
	Eval(expression string, v any) error
	// Input does one of: load (an address), reload, type (a text, into what has the
	// focus), press (a key), picture (written to a file).
	Input(command, argument string) error
	// Resize gives the window a size.
	Resize(width, height int) error
}

// Page is a view in a test that fails where something does not work.
type Page struct {
	T testing.TB
	View
}

// Do gives an input of View.
func (p *Page) Do(command, argument string) {
	p.T.Helper()
	if err := p.Input(command, argument); err != nil {
		p.T.Fatal(err)
	}
}

// Load goes to an address.
func (p *Page) Load(address string) { p.T.Helper(); p.Do("load", address) }

// Reload loads the page anew.
func (p *Page) Reload() { p.T.Helper(); p.Do("reload", "") }

// EnterText types into what has the focus.
func (p *Page) EnterText(s string) { p.T.Helper(); p.Do("type", s) }

// Press presses a key.
func (p *Page) Press(key string) { p.T.Helper(); p.Do("press", key) }

// Size gives the window a size.
func (p *Page) Size(width, height int) {
	p.T.Helper()
	if err := p.Resize(width, height); err != nil {
		p.T.Fatal(err)
	}
}

// Text is the value of an expression as a string.
func (p *Page) Text(expression string) (value string) {
	p.T.Helper()
	if err := p.Eval("String("+expression+")", &value); err != nil {
		p.T.Fatal(err)
	}
	return value
}

// Until waits until an expression is true. A page that is just being loaded may
// not be able to tell.
func (p *Page) Until(what, expression string) {
	p.T.Helper()
	deadline := time.Now().Add(patience)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	var err error
	for ; time.Now().Before(deadline); <-pause.C {
		var yes bool
		if err = p.Eval("!!("+expression+")", &yes); err == nil && yes {
			return
		}
	}
	shot := filepath.Join(os.TempDir(), fmt.Sprintf("holdline-page-%d.png", os.Getpid()))
	p.Do("picture", shot)
	p.T.Fatalf("%s: it does not become so (%v); see %s; the page shows:\n%s", what, err, shot, p.Text("document.body.innerText"))
}

// Reach presses Tab until an element has the focus, as somebody without a mouse does.
func (p *Page) Reach(element string) {
	p.T.Helper()
	for range 40 {
		if p.Text("document.activeElement == ("+element+")") == "true" {
			return
		}
		p.Press("Tab")
	}
	p.T.Fatalf("%s cannot be reached by the keyboard", element)
}
