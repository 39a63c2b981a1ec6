package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"holdline/internal/chat"
)

const sendHelp = `The text is the argument, or standard input without its last line break; arguments can be seen by others on the machine.

It prints one line: "accepted CONVERSATION SEQ CLIENT_ID", "refused CLIENT_ID" or "unknown CLIENT_ID", and exits with
  0   the message was accepted: it is on the server's disk
  1   it was refused, and was not stored
  2   the command line is wrong; nothing was tried
  75  neither is certain: repeat the command with --client-id CLIENT_ID, which never makes a second message

With --spool what is not certain is kept in that folder, and sent first the next time, in order; then nothing need be
repeated by hand. Without --to, only what is in the spool is sent.`

type sendCmd struct {
	credentialFlags

	To       string        `placeholder:"HANDLE|CONVERSATION" help:"To whom: a handle, or a conversation's id."`
	ClientID string        `placeholder:"ID" help:"Names the message, 1 to 64 printable ASCII characters: sent again under the same name, it is the same message. Random by default."`
	Spool    string        `placeholder:"FOLDER" type:"path" help:"Keep what is not certain here, and send it first next time. One folder for each account."`
	Timeout  time.Duration `default:"1m" min:"1s" max:"1h" help:"How long to try."`
	Text     *string       `arg:"" optional:"" help:"The message; without it, standard input."`
}

// Help is the long text of --help.
func (*sendCmd) Help() string { return sendHelp }

// Run sends, and says what is certain.
func (s *sendCmd) Run(ctx context.Context, c *console) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if s.To == "" && (s.Spool == "" || s.Text != nil || s.ClientID != "") {
		return usagef("--to is missing")
	}
	server, token, err := s.session()
	if err != nil {
		return err
	}
	letter, err := s.letter(c)
	if err != nil {
		return err
	}
	mailer := &chat.Mailer{Server: server, Token: token, Timeout: s.Timeout, Out: c.out}
	if s.Spool == "" {
		outcome, err := mailer.Send(ctx, letter)
		return outcomeError(c, outcome, err)
	}
	spool, err := chat.OpenSpool(s.Spool, chat.AccountName(server, token))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	name := ""
	if s.To != "" {
		if name, err = spool.Keep(letter); err != nil {
			return err
		}
	}
	outcome, err := spool.Send(ctx, mailer, name, func(err error) { fmt.Fprintf(c.err, "holdline: %v\n", err) })
	return outcomeError(c, outcome, err)
}

// letter is the message of the command line; empty without --to.
func (s *sendCmd) letter(c *console) (chat.Letter, error) {
	if s.To == "" {
		return chat.Letter{}, nil
	}
	var text string
	if s.Text != nil { // an empty one is no reason to take what a script's input holds
		text = *s.Text
	} else {
		const limit = 1 << 20 // more than any message may have
		b, err := io.ReadAll(io.LimitReader(c.in, limit))
		if err != nil {
			return chat.Letter{}, err
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	}
	l, err := chat.NewLetter(s.To, text, s.ClientID)
	if err != nil {
		return l, &usageError{err}
	}
	return l, nil
}

// outcomeError makes what is certain the exit status. It does not tell of what went wrong here after the message was stored, like
// an output that is full: standard error does.
func outcomeError(c *console, o chat.Outcome, err error) error {
	switch {
	case o == chat.Accepted && err != nil:
		fmt.Fprintf(c.err, "holdline: it was accepted, but: %v\n", err)
		return nil
	case o == chat.Unknown && err != nil:
		return &uncertainError{err}
	case o == chat.Refused && err == nil:
		return errors.New("letters of the spool were refused")
	}
	return err
}
