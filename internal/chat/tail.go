package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	holdline "holdline/sdk/go"
)

// TailOptions say what Tail follows.
type TailOptions struct {
	Server, Token string
	Conversation  string // empty for all
	State         string // the file that keeps the place; empty for none
	FromStart     bool   // without a place that was kept: from the first event on
	JSON          bool
	LongPoll      bool
	Out, Err      io.Writer // the lines; what went wrong
}

// Tail writes a line for each event, until ctx ends. The place is kept after each line is out: a killed Tail that
// starts again leaves nothing out. Only a kill between the two repeats that one line.
func Tail(ctx context.Context, o TailOptions) error {
	api, err := holdline.New(o.Server, holdline.Options{Token: o.Token})
	if err != nil {
		return err
	}
	defer api.CloseIdleConnections()
	if o.State != "" {
		lock, err := lockFile(o.State+".lock", "another holdline tail uses "+o.State)
		if err != nil {
			return err
		}
		defer lock.Close() //nolint:errcheck // the process's end gives it back, too
	}
	at, err := loadPlace(o.State, AccountName(o.Server, o.Token), o.Conversation, o.FromStart)
	if err != nil {
		return err
	}
	defer at.close() //nolint:errcheck // what was written is there, or its write has failed
	t := &tail{o: o, at: at}
	follow := holdline.FollowOptions{
		Conversation: o.Conversation, Cursor: at.Cursor, Positions: at.Positions, FromStart: at.FromStart,
		AckDelivered: true, Pace: pace, OnState: t.state,
	}
	if o.LongPoll {
		follow.Transport = holdline.LongPoll
	}
	for u, err := range api.Follow(ctx, follow) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return errors.New(Explain(err))
		}
		if err := t.take(&u); err != nil {
			return err
		}
	}
	return errors.Join(at.close(), at.save(time.Now())) // closed, it is written anew
}

type tail struct {
	o       TailOptions
	at      *place
	waiting bool
}

// state says when the server is away, and when it is back; lines are for events alone.
func (t *tail) state(s holdline.State) {
	switch {
	case s.Phase == holdline.Waiting && !t.waiting && s.Err != nil:
		t.waiting = true
		fmt.Fprintf(t.o.Err, "holdline: reconnecting: %s\n", Explain(s.Err))
	case s.Phase == holdline.Live && t.waiting:
		t.waiting = false
		fmt.Fprintln(t.o.Err, "holdline: connected")
	}
}

func (t *tail) take(u *holdline.Update) error {
	switch u.Kind {
	case holdline.KindEvent:
		line, err := t.line(&u.Event)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(t.o.Out, line); err != nil {
			return err
		}
	case holdline.KindMissing:
		fmt.Fprintf(t.o.Err, "holdline: %s: the events %d to %d cannot be read any more\n", u.ConversationID, u.From, u.To)
	case holdline.KindReset:
		fmt.Fprintln(t.o.Err, "holdline: the server was restored from a backup; what follows begins anew")
		return nil // the old place stands until there is a new one
	}
	t.at.reach(u.ConversationID, u.CompleteTo, u.Cursor)
	if u.Kind == holdline.KindReceipt {
		return nil
	}
	return t.at.save(time.Now())
}

// line is an event: JSON as the server gives it, or columns parted by tabs: conversation, seq, time, type, sender, text.
func (t *tail) line(e *holdline.Event) (string, error) {
	if t.o.JSON {
		b, err := json.Marshal(e)
		return string(b) + "\n", err
	}
	at := "-"
	if !e.AcceptedAt.IsZero() {
		at = e.AcceptedAt.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	sender := e.SenderId
	if sender == "" {
		sender = "-"
	}
	return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\n", Escape(e.ConversationId), e.Seq, at, Escape(e.Type), Escape(sender), Escape(e.Text)), nil
}
