package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	holdline "holdline/sdk/go"
)

// Options say how a Client works.
type Options struct {
	Account Account
	Session Session
	// LongPoll reads by asking again and again, where streams do not get through.
	LongPoll bool
	// CallTimeout bounds each call but a stream (0: a minute, which is longer than a poll is held). What wants an answer
	// before it goes on must not wait for ever.
	CallTimeout time.Duration
}

// face is what shows a Client to a person.
type face interface {
	// list shows the conversations.
	list()
	// opened shows a conversation from its newest messages on.
	opened(v *Conversation)
	// older shows that n messages came before those that were there.
	older(v *Conversation, n int)
	// message shows one that came.
	message(v *Conversation, m Message)
	// receipt shows how far a member has got.
	receipt(v *Conversation, userID string, old, now marks)
	// state shows what the connection does.
	state(holdline.State)
	// keys tells what can be done beside commands.
	keys() []string
	// say shows lines of the client's own.
	say(lines ...string)
}

// Client is one user's view of a server. One goroutine owns it: the one that takes functions from news and runs them.
type Client struct {
	o      Options
	api    *holdline.Client
	names  *names
	outbox *Outbox
	lock   func() error
	acks   *holdline.Acknowledger
	face   face

	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup
	news chan func()

	conversations map[string]*Conversation
	list          []string // their ids, as they were last numbered for the person to see
	open          *Conversation
	ready         bool // the first snapshot has come
	last          holdline.State
	accepted      map[string]int64 // of what was sent, the last seq by conversation
	busy          int              // what commands began and is not done
	unsent        UnsentError      // what became of messages that were not accepted
	quit          bool
	err           error // why it ended by itself
}

// New prepares a client; Start connects it. Close must follow.
func New(ctx context.Context, o Options) (*Client, error) {
	if err := o.Account.makeFolder(); err != nil {
		return nil, err
	}
	lock, err := lockFile(o.Account.path(".lock"), "another chat of "+o.Account.Handle+" on this server runs on this machine")
	if err != nil {
		return nil, err
	}
	outbox, err := OpenOutbox(o.Account.path(".outbox"))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	api, err := holdline.New(o.Session.Server, holdline.Options{Token: o.Session.Token, HTTP: &http.Client{
		Timeout: cmp.Or(o.CallTimeout, time.Minute), Transport: http.DefaultTransport.(*http.Transport).Clone(), //nolint:forcetypeassert // the program replaces it nowhere
	}})
	if err != nil {
		return nil, errors.Join(err, outbox.Close(), lock.Close())
	}
	c := &Client{
		o: o, api: api, outbox: outbox, lock: lock.Close, news: make(chan func()),
		names:         &names{api: api, known: map[string]string{o.Session.UserID: Escape(o.Session.Handle)}},
		conversations: map[string]*Conversation{}, accepted: map[string]int64{},
		last: holdline.State{Phase: holdline.Connecting},
	}
	c.ctx, c.stop = context.WithCancel(ctx)
	c.acks = api.Acknowledger(holdline.AckOptions{Pace: pace})
	return c, nil
}

// pace is how soon a person's client comes back. There is one of it, so it may hurry.
var pace = holdline.Pace{Min: 200 * time.Millisecond, Max: 3 * time.Second}

// start connects, and shows things on f from then on.
func (c *Client) start(f face) {
	c.face = f
	c.work.Go(c.follow)
	c.work.Go(c.deliver)
}

// Close ends everything; what waits stays in the outbox.
func (c *Client) Close() error {
	const patience = 2 * time.Second
	c.stop()
	c.work.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), patience)
	defer cancel()
	_ = c.acks.Close(ctx) // what was read is told again next time
	c.api.CloseIdleConnections()
	return errors.Join(c.outbox.Close(), c.lock())
}

// post hands the owner something to run; false once the client ends.
func (c *Client) post(fn func()) bool {
	select {
	case c.news <- fn:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// job runs work aside, and what it returns by the owner.
func (c *Client) job(work func(ctx context.Context) (then func())) {
	c.busy++
	c.work.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
		defer cancel()
		then := work(ctx)
		c.post(func() { c.busy--; then() })
	})
}

// end makes the owner stop, for a reason that no waiting changes.
func (c *Client) end(err error) {
	if c.err == nil {
		c.err = err
	}
	c.quit = true
}

// errSessionEnded is the end of a session elsewhere: by signing out, or by whoever runs the server.
var errSessionEnded = errors.New("the session has ended; start again to sign in. What waits in the outbox is kept")

// ended ends the client when the server says that the session has ended; it reports whether that is so.
func (c *Client) ended(err error) bool {
	if status(err) != 401 {
		return false
	}
	c.end(errors.Join(errSessionEnded, c.o.Account.Forget()))
	return true
}

func (c *Client) me() string { return c.o.Session.UserID }

// name is what a conversation is called.
func (c *Client) name(v *Conversation) string {
	switch {
	case v.Title != "":
		return Escape(v.Title)
	case v.Kind == kindDirect:
		for _, id := range v.members {
			if id != c.me() {
				return c.names.of(id)
			}
		}
		return Escape(v.ID)
	case len(v.members) > 0:
		handles := make([]string, 0, len(v.members))
		for _, id := range v.members {
			if id != c.me() && len(handles) < 4 {
				handles = append(handles, c.names.of(id))
			}
		}
		return "group of " + strings.Join(handles, ", ")
	}
	return "group " + Escape(v.ID)
}

// renumber lists the conversations, the latest first, and remembers the numbers.
func (c *Client) renumber() []*Conversation {
	list := c.sorted()
	c.list = c.list[:0]
	for _, v := range list {
		c.list = append(c.list, v.ID)
	}
	return list
}

// sorted are the conversations, the latest first.
func (c *Client) sorted() []*Conversation {
	return slices.SortedFunc(maps.Values(c.conversations), func(a, b *Conversation) int {
		if d := b.LastAt.Compare(a.LastAt); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// settled reports whether everything that was typed has been answered for, and what was accepted has come back.
func (c *Client) settled() bool {
	if _, waiting := c.outbox.first(); waiting || c.busy > 0 {
		return false
	}
	for id, seq := range c.accepted {
		if v := c.conversations[id]; v != nil && !v.Ended && v.LastSeq < seq {
			return false
		}
	}
	return true
}

// show marks as read what has been shown of a conversation.
func (c *Client) show(v *Conversation) {
	if v.LastSeq > v.ReadSeq {
		v.ReadSeq = v.LastSeq
		c.acks.Read(v.ID, v.LastSeq)
	}
	v.Unread = 0
}

// elsewhere is how many messages are unread outside of the open conversation, and in how many others.
func (c *Client) elsewhere() (messages int64, conversations int) {
	for _, v := range c.conversations {
		if v != c.open && v.Unread > 0 {
			messages += v.Unread
			conversations++
		}
	}
	return messages, conversations
}

const noConversations = "No conversations yet. /new HANDLE begins one; /help lists the commands."

// listed is a conversation as a line of the list, with the name cut to a number of cells.
func (c *Client) listed(i int, v *Conversation, cells int) string {
	line := fmt.Sprintf("%d  %s", i+1, clip(c.name(v), cells))
	if v.Unread > 0 {
		line += fmt.Sprintf("  (%d unread)", v.Unread)
	}
	if v.LastText != "" {
		line += "  " + c.names.of(v.LastFrom) + ": " + clip(Escape(v.LastText), 60)
	}
	return line
}
