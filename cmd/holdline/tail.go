package main

import (
	"context"
	"os/signal"
	"syscall"

	"holdline/internal/chat"
)

const tailHelp = `Columns are parted by tabs: conversation, seq, time, type, sender, text; control characters are escaped.

With --state it goes on where it was: the place is kept after each line is out, so a line is left out never, and
repeated only if the program is killed between the two, or the power fails (then those of the last second).
The first time it begins with what comes from then on, or with --from-start at the beginning.`

type tailCmd struct {
	credentialFlags

	Conversation string `placeholder:"ID" help:"The one to follow; all by default, over one connection."`
	State        string `placeholder:"FILE" type:"path" help:"Keep the place here, and go on from it."`
	FromStart    bool   `help:"Begin with the first event there is, if no place is kept yet."`
	JSON         bool   `name:"json" help:"One JSON object a line, as the event is in the log."`
	LongPoll     bool   `help:"Ask again and again instead of reading a stream."`
}

// Help is the long text of --help.
func (*tailCmd) Help() string { return tailHelp }

// Run prints until a signal.
func (t *tailCmd) Run(ctx context.Context, c *console) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server, token, err := t.session()
	if err != nil {
		return err
	}
	return chat.Tail(ctx, chat.TailOptions{
		Server: server, Token: token, Conversation: t.Conversation, State: t.State, FromStart: t.FromStart,
		JSON: t.JSON, LongPoll: t.LongPoll, Out: c.out, Err: c.err,
	})
}
