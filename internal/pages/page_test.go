package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// view is a page in one of the browsers.
type view interface {
	// eval evaluates an expression in the page; v gets its value, unless it is nil.
	eval(expression string, v any) error
	// input does one of: load (an address), reload, type (a text, into what has the
	// focus), press (a key), picture (written to a file).
	input(command, argument string) error
	// resize gives the window a size.
	resize(width, height int) error
}

// page is a view in a test that fails where something does not work.
type page struct {
	t testing.TB
	view
}

func (p *page) do(command, argument string) {
	p.t.Helper()
	if err := p.input(command, argument); err != nil {
		p.t.Fatal(err)
	}
}

func (p *page) load(address string) { p.t.Helper(); p.do("load", address) }
func (p *page) reload()             { p.t.Helper(); p.do("reload", "") }
func (p *page) enterText(s string)  { p.t.Helper(); p.do("type", s) }
func (p *page) press(key string)    { p.t.Helper(); p.do("press", key) }

func (p *page) size(width, height int) {
	p.t.Helper()
	if err := p.resize(width, height); err != nil {
		p.t.Fatal(err)
	}
}

// text is the value of an expression as a string.
func (p *page) text(expression string) (value string) {
	p.t.Helper()
	if err := p.eval("String("+expression+")", &value); err != nil {
		p.t.Fatal(err)
	}
	return value
}

// until waits until an expression is true. A page that is just being loaded may
// not be able to tell.
func (p *page) until(what, expression string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	var err error
	for ; time.Now().Before(deadline); <-pause.C {
		var yes bool
		if err = p.eval("!!("+expression+")", &yes); err == nil && yes {
			return
		}
	}
	shot := filepath.Join(os.TempDir(), fmt.Sprintf("holdline-page-%d.png", os.Getpid()))
	p.do("picture", shot)
	p.t.Fatalf("%s: it does not become so (%v); see %s; the page shows:\n%s", what, err, shot, p.text("document.body.innerText"))
}

// reach presses Tab until an element has the focus, as somebody without a mouse does.
func (p *page) reach(element string) {
	p.t.Helper()
	for range 40 {
		if p.text("document.activeElement == ("+element+")") == "true" {
			return
		}
		p.press("Tab")
	}
	p.t.Fatalf("%s cannot be reached by the keyboard", element)
}
