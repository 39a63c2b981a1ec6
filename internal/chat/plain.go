package chat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	holdline "holdline/sdk/go"
)

// RunPlain is the client as lines in and lines out: messages begin with #SEQ, what the client itself says with a star.
// At the end of the input it waits until all that was typed has been accepted or refused. It ends with ctx, too. The error
// is an *UnsentError if nothing else went wrong, and not all that it had to send was accepted.
func RunPlain(ctx context.Context, o Options, in io.Reader, out io.Writer) (err error) {
	c, err := New(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	p := &plain{c: c, out: out, printed: map[string]int64{}}
	lines := make(chan string)
	go readLines(c.ctx, in, lines)
	c.start(p)
	for ended := false; !c.quit && (!ended || !c.settled()) && p.err == nil; {
		var input <-chan string
		if c.ready && c.busy == 0 && !ended { // one command after the other
			input = lines
		}
		select {
		case fn := <-c.news:
			fn()
		case line, ok := <-input:
			if ended = !ok; ok {
				p.input(line)
			}
		case <-ctx.Done():
			c.quit = true
		}
	}
	if c.unsent.Waiting = len(c.outbox.Entries()); c.unsent.Waiting > 0 {
		p.say(fmt.Sprintf("%d waiting in the outbox, sent next time.", c.unsent.Waiting))
	}
	if err := errors.Join(c.err, p.err); err != nil {
		return err
	}
	return c.unsent.orNil()
}

// UnsentError counts the messages that were not accepted, as an error.
type UnsentError struct {
	Refused   int // by the server or before, and not kept
	Uncertain int // it will not be known
	Waiting   int // in the outbox
}

func (u *UnsentError) Error() string {
	var parts []string
	for _, of := range []struct {
		n    int
		what string
	}{{u.Refused, "not sent"}, {u.Uncertain, "perhaps sent"}, {u.Waiting, "waiting in the outbox"}} {
		if of.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", of.n, of.what))
		}
	}
	return "not all messages were accepted: " + strings.Join(parts, ", ")
}

// Outcome is the worst of them.
func (u *UnsentError) Outcome() Outcome {
	switch {
	case u.Uncertain+u.Waiting > 0:
		return Unknown
	case u.Refused > 0:
		return Refused
	}
	return Accepted
}

func (u *UnsentError) orNil() error {
	if u.Outcome() == Accepted {
		return nil
	}
	return u
}

// readLines reads lines to the end, which closes lines. It may stay in a read when the program ends.
func readLines(ctx context.Context, in io.Reader, lines chan<- string) {
	defer close(lines)
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

type plain struct {
	c       *Client
	out     io.Writer
	err     error            // of writing: nobody reads any more
	printed map[string]int64 // by conversation, the last message
	phase   holdline.Phase   // that was told last
}

func (p *plain) print(line string) {
	if _, err := io.WriteString(p.out, line+"\n"); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *plain) input(line string) {
	if opens(line) { // no title shows to whom the next line goes if that comes to nothing
		p.c.open = nil
	}
	before := len(p.c.outbox.Entries())
	if p.c.input(line) != "" && isMessage(line) {
		p.c.unsent.Refused++ // no line stays typed here
	}
	if n := len(p.c.outbox.Entries()); n > before && p.c.last.Phase != holdline.Live {
		p.say(fmt.Sprintf("%d waiting to be sent.", n))
	}
}

// opens reports whether a line is a command that is to open a conversation, well said or not.
func opens(line string) bool {
	words := strings.Fields(line)
	return len(words) > 0 && slices.Contains([]string{"/open", "/new", "/group"}, words[0])
}

func (p *plain) say(lines ...string) {
	for _, line := range lines {
		p.print("* " + line)
	}
}

func (p *plain) list() {
	list := p.c.renumber()
	for i, v := range list {
		p.say(p.c.listed(i, v, math.MaxInt))
	}
	if len(list) == 0 {
		p.say(noConversations)
	}
}

func (p *plain) state(s holdline.State) {
	switch {
	case s.Phase == holdline.Live && p.phase != holdline.Live:
		p.phase = s.Phase
		p.say("Connected.")
	case s.Phase == holdline.Waiting && p.phase != holdline.Waiting:
		p.phase = s.Phase
		if s.Err == nil {
			p.say("Reconnecting.")
			return
		}
		p.say("Reconnecting: " + Explain(s.Err) + ".")
	}
}

func (p *plain) keys() []string { return nil }

func (p *plain) opened(v *Conversation) {
	p.say("In " + p.c.name(v) + ":")
	if v.older {
		p.say("There is more before; /older shows it.")
	}
	p.printed[v.ID] = 0 // after a restore a seq may be another message
	p.history(v, v.messages)
	p.c.show(v)
}

func (p *plain) older(v *Conversation, n int) {
	p.history(v, v.messages[:n])
	p.say(fmt.Sprintf("%d older messages.", n))
}

func (p *plain) history(v *Conversation, messages []Message) {
	for _, m := range messages {
		line := p.line(m)
		if m.SenderID == p.c.me() {
			line += " (" + v.tick(m.Seq, p.c.me()).words() + ")"
		}
		p.print(line)
		p.printed[v.ID] = max(p.printed[v.ID], m.Seq)
	}
}

func (p *plain) line(m Message) string {
	return fmt.Sprintf("#%d %s %s: %s", m.Seq, shortTime(m.At, time.Now()), p.c.names.of(m.SenderID), Escape(m.Text))
}

func (p *plain) message(v *Conversation, m Message) {
	switch {
	case v != p.c.open:
		if m.SenderID != p.c.me() {
			p.say(fmt.Sprintf("In %s, %d unread: %s: %s", p.c.name(v), v.Unread, p.c.names.of(m.SenderID), clip(Escape(m.Text), 60)))
		}
	case m.Seq > p.printed[v.ID]:
		p.printed[v.ID] = m.Seq
		p.print(p.line(m))
		p.c.show(v)
	}
}

func (p *plain) receipt(v *Conversation, userID string, old, now marks) {
	if v != p.c.open {
		return
	}
	own := func(to int64) int64 { // the last message of one's own up to there
		for i := len(v.messages) - 1; i >= 0; i-- {
			if m := v.messages[i]; m.SenderID == p.c.me() && m.Seq <= to {
				return m.Seq
			}
		}
		return 0
	}
	switch read, delivered := own(now.read), own(now.delivered); {
	case read > old.read:
		p.say(fmt.Sprintf("Read by %s up to #%d.", p.c.names.of(userID), read))
	case delivered > old.delivered:
		p.say(fmt.Sprintf("Delivered to %s up to #%d.", p.c.names.of(userID), delivered))
	}
}

// words says a tick.
func (t Tick) words() string {
	switch t.level() {
	case readByAll:
		return "read"
	case readBySome:
		return fmt.Sprintf("read by %d of %d", t.Read, t.Others)
	case deliveredToAll:
		return "delivered"
	case deliveredToSome:
		return fmt.Sprintf("delivered to %d of %d", t.Delivered, t.Others)
	case accepted:
	}
	return "accepted"
}

// shortTime is the time of day, with the date unless that is today.
func shortTime(t, now time.Time) string {
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}
