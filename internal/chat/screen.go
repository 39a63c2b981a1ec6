package chat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/charmbracelet/bubbles/cursor"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	holdline "holdline/sdk/go"
)

// RunScreen is the client on the whole of a terminal. It uses no colours, and ends with ctx, too.
func RunScreen(ctx context.Context, o Options, in, out *os.File) (err error) {
	c, err := New(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	// The only attribute in use is reverse video, of the cursor. lipgloss would drop it along with colours under NO_COLOR.
	lipgloss.SetColorProfile(termenv.ANSI)
	s := newScreen(c)
	program := tea.NewProgram(s, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	c.start(s)
	if _, err := program.Run(); err != nil && ctx.Err() == nil {
		return err
	}
	if n := len(c.outbox.Entries()); n > 0 {
		fmt.Fprintf(out, "%d waiting in the outbox, sent next time.\n", n)
	}
	return c.err
}

// maxNotes is how many lines of the client's own are kept.
const maxNotes = 200

// note is what the client itself said, and where: behind which message.
type note struct {
	conversation string // empty: beside the list
	after        int64
	text         string
}

// screen draws a Client. The program's loop owns it, and with it the Client.
type screen struct {
	c             *Client
	input         textinput.Model
	width, height int
	listing       bool   // the list is wanted, not the conversation
	chosen        string // of the list
	up            int    // how many lines the view is above the newest
	notes         []note
	lost          bool  // there was a connection
	failure       error // why there is none
}

// newsMsg is something that the owner is to run.
type newsMsg func()

func newScreen(c *Client) *screen {
	input := textinput.New()
	input.Prompt = "> "
	input.Cursor.SetMode(cursor.CursorStatic)
	input.Focus()
	return &screen{c: c, input: input, listing: true, width: 80, height: 24}
}

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return s.next }

// next waits for something to run.
func (s *screen) next() tea.Msg {
	select {
	case fn := <-s.c.news:
		return newsMsg(fn)
	case <-s.c.ctx.Done():
		return nil
	}
}

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch m := msg.(type) {
	case newsMsg:
		m()
		cmd = s.next
	case tea.WindowSizeMsg:
		s.width, s.height = max(20, m.Width), max(5, m.Height)
		s.input.Width = s.width - len(s.input.Prompt) - 1
		s.input.SetCursor(s.input.Position()) // which makes the part that is shown fit
	case tea.KeyMsg:
		cmd = s.key(m)
	}
	if s.c.quit {
		return s, tea.Quit
	}
	return s, cmd
}

// key does what a key stands for; what is none of these is typed.
func (s *screen) key(k tea.KeyMsg) (cmd tea.Cmd) {
	page := s.height - barLines - 1
	switch k.Type {
	case tea.KeyCtrlC, tea.KeyCtrlD:
		s.c.quit = true
	case tea.KeyCtrlZ:
		return tea.Suspend
	case tea.KeyEnter:
		s.enter()
	case tea.KeyTab, tea.KeyEsc:
		s.turn(!s.listing || s.c.open == nil)
		s.seen()
	case tea.KeyUp:
		s.move(1)
	case tea.KeyDown:
		s.move(-1)
	case tea.KeyPgUp:
		s.move(page)
	case tea.KeyPgDown:
		s.move(-page)
	case tea.KeyCtrlT:
		s.c.command("info", nil)
	default:
		// A word that comes at once, over a slow line for instance, must not be taken for the key of its name: End, Home,
		// Delete. What is marked as pasted never is.
		k.Paste = k.Paste || k.Type == tea.KeyRunes && !k.Alt
		s.input, cmd = s.input.Update(k)
	}
	return cmd
}

// shown is the conversation that is on the screen; nil while the list is. One that could not be opened leaves the list.
func (s *screen) shown() *Conversation {
	if s.listing {
		return nil
	}
	return s.c.open
}

func (s *screen) enter() {
	line := s.input.Value()
	if line == "" {
		if list := s.c.renumber(); s.shown() == nil && len(list) > 0 {
			s.c.openConversation(list[s.marked(list)])
		}
		return
	}
	if s.shown() == nil && line[0] != '/' { // what is sent should be seen
		s.say("Nothing was sent: no conversation is shown. Tab goes back to it, Enter opens the one marked.")
		return
	}
	s.up = 0
	s.input.SetValue(s.c.input(line))
	s.input.CursorEnd()
	s.seen()
}

// marked is which of the list is marked: the one that was chosen, or the first as long as none was.
func (s *screen) marked(list []*Conversation) int {
	return max(0, slices.IndexFunc(list, func(v *Conversation) bool { return v.ID == s.chosen }))
}

// move goes up by lines, or in the list.
func (s *screen) move(lines int) {
	v := s.shown()
	if v == nil {
		list := s.c.renumber()
		if len(list) > 0 {
			s.chosen = list[min(max(0, s.marked(list)-lines), len(list)-1)].ID
		}
		return
	}
	height := s.height - barLines
	all := len(s.lines(v, s.up+lines+height))
	if s.up = max(0, min(s.up+lines, all-height)); s.up == all-height && lines > 0 || all < height {
		if v.older {
			s.c.loadOlder()
		}
	}
	s.seen()
}

// seen marks as read what the screen shows to its end.
func (s *screen) seen() {
	if v := s.shown(); v != nil && s.up == 0 && v.loaded {
		s.c.show(v)
	}
}

// turn shows the list, or leaves it: what was said beside it has been seen then, and would only take its room.
func (s *screen) turn(listing bool) {
	if s.listing && !listing {
		s.notes = slices.DeleteFunc(s.notes, func(n note) bool { return n.conversation == "" })
	}
	s.listing = listing
}

func (s *screen) list() {
	s.listing, s.up = true, 0
	if list := s.c.renumber(); s.c.conversations[s.chosen] == nil && len(list) > 0 {
		s.chosen = list[0].ID
	}
}

func (s *screen) keys() []string {
	return []string{"Tab: the list, and back   PgUp, PgDn: scroll   Ctrl-T: /info   Ctrl-C: /quit"}
}

func (s *screen) opened(v *Conversation) {
	s.up, s.chosen = 0, v.ID
	s.turn(false)
	s.seen()
}

func (s *screen) older(*Conversation, int) {} // the view is counted from the newest

func (s *screen) message(v *Conversation, m Message) {
	if v == s.c.open && s.up > 0 { // the view stands still
		s.up += len(s.messageLines(v, m))
	}
	s.seen()
}

func (s *screen) receipt(*Conversation, string, marks, marks) {} // the ticks are drawn from what is known

func (s *screen) state(st holdline.State) {
	switch st.Phase {
	case holdline.Live:
		s.lost, s.failure = false, nil
	case holdline.Waiting:
		s.lost, s.failure = true, st.Err
	}
	if s.chosen == "" {
		if list := s.c.renumber(); len(list) > 0 {
			s.chosen = list[0].ID
		}
	}
}

func (s *screen) say(lines ...string) {
	for _, line := range lines {
		n := note{text: line}
		if v := s.shown(); v != nil {
			n.conversation = v.ID
			if len(v.messages) > 0 {
				n.after = v.messages[len(v.messages)-1].Seq
			}
		}
		s.notes = append(s.notes, n)
	}
	s.notes = s.notes[max(0, len(s.notes)-maxNotes):]
}
