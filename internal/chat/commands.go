package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	holdline "holdline/sdk/go"
)

// maxText is what a message may have (openapi.yaml, NewMessage), in bytes.
const maxText = 16 << 10

// pageSize is how many messages of history are loaded at a time.
const pageSize = 50

var help = []string{
	"/list                    your conversations, with what is unread",
	"/open NUMBER|NAME        opens one of the list",
	"/new HANDLE              opens, or begins, the conversation with somebody",
	"/group TITLE HANDLE…     begins a group; \"a title of words\" in quotes",
	"/older                   shows messages from before the first one shown",
	"/info [SEQ]              when your message was accepted, delivered and read",
	"/members                 who is in this conversation",
	"/outbox                  what waits to be sent",
	"/signout                 ends this session, here and on the server",
	"/quit                    ends; what waits is sent next time",
	"Anything else is sent. A message that begins with a slash: type it twice.",
}

// input takes a line that a person typed: a command or a message. What it returns is what stays typed.
func (c *Client) input(line string) (left string) {
	text := strings.TrimPrefix(line, "/")
	switch {
	case strings.TrimSpace(line) == "":
		return ""
	case isMessage(line):
		return c.queue(text)
	}
	words, err := split(text)
	if err != nil || len(words) == 0 {
		c.face.say("A quote is open, or a command is missing; /help lists them.")
		return line
	}
	c.command(words[0], words[1:])
	return ""
}

// isMessage reports whether a line is to be sent, but for a slash that it may begin with, and no command.
func isMessage(line string) bool {
	return !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "//")
}

// queue puts a message into the outbox. What cannot be kept stays typed.
func (c *Client) queue(text string) string {
	switch {
	case c.open == nil:
		c.face.say("No conversation is open: /list, then /open NUMBER, or /new HANDLE.")
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		c.face.say("This is not text (UTF-8) and was not sent.")
	case len(text) > maxText:
		c.face.say(fmt.Sprintf("This is too long: %d of at most %d bytes.", len(text), maxText))
	default:
		err := c.outbox.Add(Entry{ClientID: holdline.NewClientID(), Conversation: c.open.ID, Text: text, TypedAt: time.Now()})
		if err == nil {
			return ""
		}
		c.face.say("This cannot be kept, and so was not sent: " + Explain(err))
	}
	return text
}

// split parts words; quotes hold several together.
func split(s string) (words []string, err error) {
	var word strings.Builder
	begun, quoted := false, false
	for _, r := range s {
		switch {
		case r == '"':
			begun, quoted = true, !quoted
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is open")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

func (c *Client) command(name string, args []string) {
	switch {
	case name == "help" && len(args) == 0:
		c.face.say(slices.Concat(help, c.face.keys())...)
	case name == "list" && len(args) == 0:
		c.face.list()
	case name == "open" && len(args) > 0:
		c.find(strings.Join(args, " "))
	case name == "new" && len(args) == 1:
		c.create(holdline.NewConversation{Kind: holdline.NewConversationKindDirect, Members: args})
	case name == "group" && len(args) > 1:
		c.create(holdline.NewConversation{
			Kind: holdline.NewConversationKindGroup, Title: args[0], Members: args[1:], ClientId: holdline.NewClientID(),
		})
	case name == "older" && len(args) == 0:
		c.loadOlder()
	case name == "info" && len(args) < 2:
		c.info(args)
	case name == "members" && len(args) == 0:
		c.sayMembers()
	case name == "outbox" && len(args) == 0:
		c.sayOutbox()
	case name == "signout" && len(args) == 0:
		c.signOut()
	case name == "quit" && len(args) == 0:
		c.quit = true
	default:
		c.face.say("There is no such command, or it takes something else; /help lists them.")
	}
}

func (c *Client) sayOutbox() {
	entries := c.outbox.Entries()
	lines := []string{fmt.Sprintf("%d waiting to be sent.", len(entries))}
	for _, e := range entries {
		to := e.Conversation
		if v := c.conversations[to]; v != nil {
			to = c.name(v)
		}
		lines = append(lines, e.TypedAt.Local().Format(timeOfDay)+" to "+to+": "+clip(Escape(e.Text), 60))
	}
	c.face.say(lines...)
}

func (c *Client) sayMembers() {
	v := c.open
	if v == nil {
		c.face.say("No conversation is open.")
		return
	}
	c.job(func(ctx context.Context) func() {
		const pages = 20
		members, err := c.membersOf(ctx, v.ID, pages)
		return func() {
			if err != nil {
				c.refused(err)
				return
			}
			v.members = members
			lines := []string{fmt.Sprintf("%d in %s:", len(members), c.name(v))}
			for _, id := range members {
				lines = append(lines, c.names.of(id))
			}
			c.face.say(lines...)
		}
	})
}

// refused tells why a command came to nothing.
func (c *Client) refused(err error) {
	if !c.ended(err) {
		c.face.say("That did not work: " + Explain(err))
	}
}

// find opens a conversation by its number in the list, its name, or the handle of somebody.
func (c *Client) find(what string) {
	if n, err := strconv.Atoi(what); err == nil && n >= 1 && n <= len(c.list) {
		if v := c.conversations[c.list[n-1]]; v != nil {
			c.openConversation(v)
			return
		}
	}
	// A group's title can be anything, also somebody's handle, so it comes after the people.
	for _, titled := range []bool{false, true} {
		for _, v := range c.sorted() {
			if v.ID == what || (v.Title != "") == titled && strings.EqualFold(c.name(v), Escape(what)) {
				c.openConversation(v)
				return
			}
		}
	}
	if strings.Contains(what, " ") {
		c.face.say("There is no such conversation; /list shows them.")
		return
	}
	c.create(holdline.NewConversation{Kind: holdline.NewConversationKindDirect, Members: []string{what}})
}

// create begins a conversation, or finds the direct one that is there, and opens it.
func (c *Client) create(n holdline.NewConversation) {
	c.job(func(ctx context.Context) func() {
		made, err := read[holdline.Conversation](c.api.CreateConversation(ctx, n))
		return func() {
			if err != nil {
				c.refused(err)
				return
			}
			v := c.conversations[made.Id]
			if v == nil {
				v = newConversation(&made)
				c.conversations[made.Id] = v
			}
			c.openConversation(v)
		}
	})
}

// openConversation shows a conversation, once its newest messages are there.
func (c *Client) openConversation(v *Conversation) {
	c.open = v
	switch {
	case v.loaded:
		c.face.opened(v)
		return
	case v.loading:
		return
	}
	v.loading = true
	c.job(func(ctx context.Context) func() {
		limit := pageSize
		page, err := read[holdline.MessagePage](c.api.ListMessages(ctx, v.ID, &holdline.ListMessagesParams{Limit: &limit}))
		var members []string
		if err == nil {
			members, err = c.membersOf(ctx, v.ID, 1)
		}
		return func() {
			v.loading = false
			if err != nil {
				if c.open == v && !v.loaded {
					c.open = nil
				}
				c.refused(err)
				return
			}
			v.members = members
			c.takePage(v, &page)
			v.loaded = true
			v.LastSeq = max(v.LastSeq, page.LastSeq)
			if c.open == v {
				c.face.opened(v)
			}
		}
	})
}

// takePage takes a page of messages. One that does not join what is there replaces it.
func (c *Client) takePage(v *Conversation, page *holdline.MessagePage) {
	if v.loaded && len(v.messages) > 0 && len(page.Messages) > 0 && page.More && page.Messages[0].Seq > v.messages[len(v.messages)-1].Seq {
		v.messages = nil
	}
	if len(v.messages) == 0 || len(page.Messages) > 0 && page.Messages[0].Seq <= v.messages[0].Seq {
		v.older = page.More
	}
	for i := range page.Messages {
		m := &page.Messages[i]
		v.insert(Message{Seq: m.Seq, SenderID: m.SenderId, ClientID: m.ClientId, Text: m.Text, At: m.AcceptedAt.Local()})
	}
}

// loadOlder brings the page before the first message that is there.
func (c *Client) loadOlder() {
	v := c.open
	if v == nil || v.loading || v.paging {
		return
	}
	if !v.older || len(v.messages) == 0 {
		c.face.say("This is the beginning.")
		return
	}
	v.paging = true
	before, limit := v.messages[0].Seq, pageSize
	c.job(func(ctx context.Context) func() {
		page, err := read[holdline.MessagePage](c.api.ListMessages(ctx, v.ID, &holdline.ListMessagesParams{Before: &before, Limit: &limit}))
		return func() {
			v.paging = false
			if err != nil {
				c.refused(err)
				return
			}
			n := len(v.messages)
			c.takePage(v, &page)
			v.older = page.More
			if c.open == v {
				c.face.older(v, len(v.messages)-n)
			}
		}
	})
}

const timeOfDay = "15:04:05"

// info tells when a message came to be what it is now.
func (c *Client) info(args []string) {
	v := c.open
	if v == nil {
		c.face.say("No conversation is open.")
		return
	}
	seq := v.lastOwn(c.me())
	if len(args) == 1 {
		n, err := strconv.ParseInt(strings.TrimPrefix(args[0], "#"), 10, 64)
		if err != nil || n < 1 {
			c.face.say("A message is named by its number, like /info 12.")
			return
		}
		seq = n
	}
	if seq == 0 {
		c.face.say("Nothing of yours here has been accepted; /info SEQ asks about a message.")
		return
	}
	c.job(func(ctx context.Context) func() {
		r, err := read[holdline.Receipts](c.api.GetReceipts(ctx, v.ID, seq))
		for i := range r.Members {
			c.names.find(ctx, r.Members[i].UserId)
		}
		return func() {
			if err != nil {
				c.refused(err)
				return
			}
			lines := []string{fmt.Sprintf("#%d accepted %s", seq, stamp(r.AcceptedAt))}
			for _, m := range r.Members {
				lines = append(lines, fmt.Sprintf("%s: delivered %s, read %s", c.names.of(m.UserId), stamp(m.DeliveredAt), stamp(m.ReadAt)))
			}
			if len(r.Members) == 0 {
				lines = append(lines, fmt.Sprintf("delivered to %d, read by %d of %d", r.DeliveredCount, r.ReadCount, r.MemberCount))
			}
			c.face.say(lines...)
		}
	})
}

// stamp is a time for people; a dash where there is none yet.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "not yet"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func (c *Client) signOut() {
	c.job(func(ctx context.Context) func() {
		_, err := SignOut(ctx, c.o.Account)
		return func() {
			if err != nil {
				c.face.say(Explain(err))
				return
			}
			c.face.say("Signed out.")
			c.quit = true
		}
	})
}
