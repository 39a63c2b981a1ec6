package chat

import (
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	holdline "holdline/sdk/go"
)

// newTestScreen is a screen of ann's that is connected to nothing.
func newTestScreen(t *testing.T) *screen {
	t.Helper()
	outbox, err := OpenOutbox(t.TempDir() + "/outbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = outbox.Close() })
	c := &Client{
		o: Options{Session: Session{UserID: "me", Handle: "ann", Server: "http://127.0.0.1:8080"}}, outbox: outbox,
		names: &names{known: map[string]string{"me": "ann"}}, conversations: map[string]*Conversation{}, ready: true,
		last: holdline.State{Phase: holdline.Live},
	}
	s := newScreen(c)
	c.face = s
	return s
}

// A window that changes its size shows the part of the line around the cursor, as much of it as it has room for.
func TestTheLineFitsTheWindow(t *testing.T) {
	t.Parallel()
	s := newTestScreen(t)
	line := strings.Repeat("one two three ", 7) + "end."
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(line)})
	for _, width := range []int{80, 30, 120, 40, 80} {
		s.Update(tea.WindowSizeMsg{Width: width, Height: 24})
		lines := strings.Split(s.View(), "\n")
		shown := strings.TrimSpace(strings.TrimPrefix(lines[len(lines)-1], "> "))
		if want := min(len(line), width-3); !strings.HasSuffix(line, shown) || len(shown) < want-1 {
			t.Errorf("%d columns: %q", width, shown)
		}
	}
}

// What is unread stays in view behind a title that is longer than the window.
func TestALongTitleInTheList(t *testing.T) {
	t.Parallel()
	s := newTestScreen(t)
	s.c.conversations["a"] = &Conversation{ID: "a", Title: strings.Repeat("long ", 30), Unread: 7, LastText: "hi", LastFrom: "me"}
	for _, width := range []int{40, 80} {
		s.Update(tea.WindowSizeMsg{Width: width, Height: 24})
		if shown := strings.Split(s.View(), "\n")[1]; !strings.HasPrefix(shown, "> 1  long long") || !strings.Contains(shown, "(7 unread)") {
			t.Errorf("%d columns: %q", width, shown)
		}
	}
}

// What was said beside the list takes no room of it once somebody has been elsewhere. What was said in a conversation stays there.
func TestNotesBesideTheListPass(t *testing.T) {
	t.Parallel()
	s := newTestScreen(t)
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 10})
	v := &Conversation{ID: "a", Title: "A", loaded: true}
	s.c.conversations["a"], s.c.open = v, v
	for range 20 {
		s.say("noted beside the list")
	}
	if n := strings.Count(s.View(), "beside the list"); n != 4 {
		t.Errorf("%d lines of what was said", n)
	}
	s.Update(tea.KeyMsg{Type: tea.KeyTab})
	s.say("noted in A")
	s.Update(tea.KeyMsg{Type: tea.KeyTab})
	if view := s.View(); !strings.Contains(view, "> 1  A") || strings.Contains(view, "noted") {
		t.Errorf("%s", view)
	}
	s.Update(tea.KeyMsg{Type: tea.KeyTab})
	if view := s.View(); !strings.Contains(view, "noted in A") {
		t.Errorf("%s", view)
	}
}

// A line break of Windows is one.
func TestLineBreaks(t *testing.T) {
	t.Parallel()
	if got := escapeLines("a\r\nb\rc\n\td"); got != "a\nb\\u000dc\n    d" {
		t.Errorf("%q", got)
	}
}
