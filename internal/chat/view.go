package chat

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	holdline "holdline/sdk/go"
)

// barLines are the title, the status and the line that is typed.
const barLines = 3

// tickCells is how wide most ticks are, at the right margin; those of large groups take more from the text.
const tickCells = 9

// View implements tea.Model: the title, what is shown, the status, and the line that is typed.
func (s *screen) View() string {
	height := s.height - barLines
	var body []string
	if v := s.shown(); v != nil {
		body = s.lines(v, s.up+height)
		body = body[:max(0, len(body)-s.up)]
		body = body[max(0, len(body)-height):]
		body = append(make([]string, height-len(body)), body...) // the newest stands where it is typed
	} else {
		body = s.listLines(height)
		body = append(body, make([]string, max(0, height-len(body)))...)[:height]
	}
	lines := append([]string{s.title()}, body...)
	lines = append(lines, s.status(), s.input.View())
	for i := range lines[:len(lines)-1] {
		lines[i] = ansi.Truncate(lines[i], s.width, "…")
	}
	return strings.Join(lines, "\n")
}

// bar is a line with text at both ends, set off by dashes.
func (s *screen) bar(left, right string) string {
	left = "── " + left + " "
	if right != "" {
		right = " " + right + " ──"
	}
	if ansi.StringWidth(left)+ansi.StringWidth(right) > s.width { // the left tells more
		right = ""
	}
	left = ansi.Truncate(left, s.width, "…")
	return left + strings.Repeat("─", max(0, s.width-ansi.StringWidth(left+right))) + right
}

func (s *screen) title() string {
	left := "Conversations"
	if v := s.shown(); v != nil {
		left = s.c.name(v)
		if v.Ended {
			left += " (you are no member any more)"
		}
	}
	right := s.c.o.Session.Handle
	if u, err := url.Parse(s.c.o.Session.Server); err == nil {
		right += " at " + u.Host
	}
	if messages, conversations := s.c.elsewhere(); messages > 0 && s.shown() != nil {
		right = fmt.Sprintf("%d unread in %d others, %s", messages, conversations, right)
		if conversations == 1 {
			right = strings.Replace(right, "1 others", "1 other", 1)
		}
	}
	return s.bar(left, Escape(right))
}

func (s *screen) status() string {
	var left string
	switch {
	case unreachable(s.failure) != nil:
		left = "reconnecting: " + Escape(unreachable(s.failure).Error())
	case s.failure != nil:
		left = "reconnecting: " + Explain(s.failure)
	case s.lost:
		left = "reconnecting"
	case s.c.last.Phase != holdline.Live:
		left = "connecting"
	case s.c.last.Transport == holdline.LongPoll:
		left = "connected (polling)"
	default:
		left = "connected"
	}
	if n := len(s.c.outbox.Entries()); n > 0 {
		left = fmt.Sprintf("%d waiting to be sent, %s", n, left)
	}
	right := "Tab: list  /help"
	switch {
	case s.up > 0:
		right = "PgDn: newer"
	case s.c.open == nil:
		right = "Enter: open  /help"
	case s.listing:
		right = "Enter: open  Tab: back"
	}
	return s.bar(left, right)
}

// listLines are the conversations, around the chosen one, and what the client said beside them.
func (s *screen) listLines(height int) []string {
	var notes []string
	for _, n := range s.notes {
		if n.conversation == "" {
			notes = append(notes, s.noteLines(n)...)
		}
	}
	notes = notes[max(0, len(notes)-height*2/3):]
	list := s.c.renumber()
	var lines []string
	switch {
	case !s.c.ready:
		lines = append(lines, "Waiting for the server …")
	case len(list) == 0:
		lines = append(lines, noConversations)
	}
	room := max(1, height-len(notes)-len(lines))
	at := s.marked(list)
	from := max(0, min(at-room/2, len(list)-room))
	for i := from; i < min(len(list), from+room); i++ {
		mark := "  "
		if i == at {
			mark = "> "
		}
		lines = append(lines, mark+s.c.listed(i, list[i], s.width/2)) // what is unread has room behind it
	}
	return append(lines, notes...)
}

// lines are the newest lines of a conversation: at least so many, or all there are.
func (s *screen) lines(v *Conversation, enough int) []string {
	var groups [][]string // the newest first
	n := 0
	add := func(lines []string) {
		groups = append(groups, lines)
		n += len(lines)
	}
	for _, e := range slices.Backward(s.c.outbox.Entries()) {
		if e.Conversation == v.ID && !slices.ContainsFunc(v.messages, func(m Message) bool { return m.ClientID == e.ClientID }) {
			add(s.block(e.TypedAt.Local(), s.c.o.Session.Handle, e.Text, "…"))
		}
	}
	notes := s.notes
	notesAfter := func(seq int64) {
		for i, n := range slices.Backward(notes) {
			if n.conversation == v.ID && n.after >= seq {
				add(s.noteLines(n))
			} else if n.conversation == v.ID {
				notes = notes[:i+1]
				return
			}
		}
		notes = nil
	}
	for i, m := range slices.Backward(v.messages) {
		if n >= enough {
			break
		}
		notesAfter(m.Seq)
		add(s.messageLines(v, m))
		if i > 0 && !sameDay(v.messages[i-1].At, m.At) || i == 0 && !sameDay(m.At, time.Now()) {
			add([]string{"── " + m.At.Format("Monday, 2 January 2006") + " ──"})
		}
	}
	if n < enough {
		notesAfter(0)
		switch {
		case v.older:
			add([]string{"(older messages: PgUp)"})
		case v.loading:
			add([]string{"…"})
		default:
			add([]string{"(the beginning)"})
		}
	}
	slices.Reverse(groups)
	return slices.Concat(groups...)
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }

func (s *screen) messageLines(v *Conversation, m Message) []string {
	tick := ""
	if m.SenderID == s.c.me() {
		tick = v.tick(m.Seq, s.c.me()).short()
	}
	return s.block(m.At, s.c.names.of(m.SenderID), m.Text, tick)
}

// short says a tick in few cells: accepted, delivered, read, of all or of some.
func (t Tick) short() string {
	switch t.level() {
	case readByAll:
		return "✓✓ read"
	case readBySome:
		return fmt.Sprintf("read %d/%d", t.Read, t.Others)
	case deliveredToAll:
		return "✓✓"
	case deliveredToSome:
		return fmt.Sprintf("✓✓ %d/%d", t.Delivered, t.Others)
	case accepted:
	}
	return "✓"
}

// block is a message: time, sender and text, wrapped, and the tick at the right of its first line.
func (s *screen) block(at time.Time, sender, text, tick string) []string {
	head := at.Format("15:04") + " " + sender + ": "
	indent := strings.Repeat(" ", min(8, ansi.StringWidth(head)))
	cells := max(tickCells, ansi.StringWidth(tick))
	room := max(10, s.width-cells-1)
	wrapped := strings.Split(ansi.Wrap(head+escapeLines(text), room-len(indent), ""), "\n")
	for i := range wrapped {
		if i > 0 {
			wrapped[i] = indent + wrapped[i]
		}
	}
	if tick != "" {
		wrapped[0] += strings.Repeat(" ", max(1, s.width-cells-ansi.StringWidth(wrapped[0]))) + tick
	}
	return wrapped
}

func (s *screen) noteLines(n note) []string {
	return strings.Split(ansi.Wrap("* "+escapeLines(n.text), s.width-1, ""), "\n")
}
