package pages

import (
	_ "embed"
	"strconv"
	"strings"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

//go:embed old.js
var oldScript string

// Old takes from a browser what old ones lack; bare: localStorage, cookies and
// XMLHttpRequest too, for what Internet Explorer 6 has in their place.
func Old(bare bool) string {
	return strings.Replace(oldScript, "BARE", strconv.FormatBool(bare), 1)
}

// Person is somebody at the legacy page.
type Person struct {
	*browser.Page
	Handle string
}

// El is the element of an id.
func El(id string) string { return "document.getElementById(" + browser.Quoted(id) + ")" }

// Shows is whether an element's text holds another.
func Shows(id, text string) string {
	return El(id) + ".innerText.indexOf(" + browser.Quoted(text) + ") >= 0"
}

// Visible is whether an element can be seen.
func Visible(id string) string { return El(id) + " && " + El(id) + ".offsetHeight > 0" }

// Arrive opens the root, which leads to the page, and waits for its door.
func Arrive(p *browser.Profile, url, handle string) *Person {
	p.T.Helper()
	opened, _ := p.Open(url + "/")
	b := &Person{opened, handle}
	b.Until("the door", Visible("door"))
	if at := b.Text("location.pathname"); at != "/legacy" {
		p.T.Errorf("a browser is led to %s", at)
	}
	return b
}

// Enter fills the door in and presses a button of it, all by the keyboard.
func (b *Person) Enter(button string) {
	b.T.Helper()
	b.Until("the button", Visible(button))
	b.Reach(El("handle"))
	b.Write("handle", b.Handle)
	b.Press("Tab")
	b.EnterText(harness.Password)
	b.Reach(El(button))
	b.Press("Enter")
	b.Until("signed in", Visible("home")+" && "+Shows("name", b.Handle))
}

// Resume waits until the page, loaded anew, goes on: by its cookie, or with a
// password where there are none.
func (b *Person) Resume(bare bool) {
	b.T.Helper()
	if bare {
		b.Until("the door", Visible("door"))
		b.Enter("enter")
	}
	b.Until("signed in", Visible("home")+" && "+Visible("leave"))
}

// Write fills a field in.
func (b *Person) Write(id, text string) {
	b.T.Helper()
	b.Reach(El(id))
	if err := b.Eval(El(id)+".value = ''", nil); err != nil {
		b.T.Error(err)
	}
	b.EnterText(text)
}

// Start starts a conversation.
func (b *Person) Start(people, title string) {
	b.T.Helper()
	b.Write("people", people)
	b.Write("group", title)
	b.Press("Enter")
}

// Say sends a message in the conversation that is open.
func (b *Person) Say(text string) {
	b.T.Helper()
	b.Write("text", text)
	b.Press("Enter")
}

// Choose opens the conversation of a name, from the list.
func (b *Person) Choose(name string) {
	b.T.Helper()
	b.Until("the list names "+name, Shows("list", name))
	link := "(function () { var all = " + El("list") + ".getElementsByTagName('a'), i; for (i = 0; i < all.length; i++) if (all[i].innerText.indexOf(" + browser.Quoted(name) + ") >= 0) return all[i]; })()"
	b.Reach(link)
	b.Press("Enter")
	b.Until(name+" is open", Shows("title", name))
}
