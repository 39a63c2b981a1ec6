package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"holdline/internal/chat"
)

// Credentials that the environment may hold. They are no settings: no flag and no file takes them.
const (
	passwordVariable = variablePrefix + "PASSWORD"
	tokenVariable    = variablePrefix + "TOKEN"
)

// serverFlags say whose client this is.
type serverFlags struct {
	Server string `setting:"" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The server's address."`
}

// account is where the files of a handle on that server are.
func (s *serverFlags) account(handle string) (chat.Account, error) {
	server, err := chat.Address(s.Server)
	if err != nil {
		return chat.Account{}, &usageError{err}
	}
	folder, err := chat.DefaultFolder()
	return chat.Account{Folder: folder, Server: server, Handle: handle}, err
}

const chatHelp = `The first time it asks for the password, or takes it from --password-file or HOLDLINE_PASSWORD; then it keeps the
session in the user's folder for configuration. What is typed while the server is away is kept there too, and sent in
order later, also after the program was killed. Lines in and lines out, for screen readers and scripts, are what
--plain makes, and what it does by itself where the terminal is none, or a dumb one. /help tells the commands.

With lines it exits with
  0   every message was accepted
  1   one was not sent, or the client could not go on: it says why
  2   the command line is wrong
  75  of one that is not certain; if it waits in the outbox, it is sent next time`

type chatCmd struct {
	serverFlags

	Handle       string `arg:"" help:"Whose account."`
	SignUp       bool   `help:"Make the account first."`
	SignOut      bool   `help:"End the session that is kept, here and on the server, and do nothing else."`
	PasswordFile string `placeholder:"FILE" help:"File whose first line is the password."`
	LongPoll     bool   `help:"Ask again and again instead of reading a stream. By default it does so by itself where streams do not get through."`
	Plain        bool   `help:"Lines in, lines out, and nothing but text."`
}

// Help is the long text of --help.
func (*chatCmd) Help() string { return chatHelp }

// Run chats until the person has had enough, the input ends, or a signal comes.
func (k *chatCmd) Run(ctx context.Context, c *console) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if k.SignUp && k.SignOut {
		return usagef("--sign-up and --sign-out do not go together")
	}
	if !chat.ValidHandle(k.Handle) {
		return usagef("a handle has 2 to 32 of the characters a-z 0-9 _ . - and %q does not fit that", k.Handle)
	}
	account, err := k.account(k.Handle)
	if err != nil {
		return err
	}
	if k.SignOut {
		return signOut(ctx, c, account)
	}
	if chat.Exposed(account.Server) {
		fmt.Fprintln(c.err, "Warning: without https, others on the way can read the password and all messages.")
	}
	session, err := chat.SignIn(ctx, account, func() (string, error) { return k.password(c) }, k.SignUp)
	if err != nil {
		return err
	}
	o := chat.Options{Account: account, Session: session, LongPoll: k.LongPoll}
	if screen, ok := c.out.(*os.File); ok && !k.Plain && isScreen(c.in, screen) {
		return chat.RunScreen(ctx, o, c.in, screen)
	}
	err = chat.RunPlain(ctx, o, c.in, c.out)
	var unsent *chat.UnsentError
	if errors.As(err, &unsent) && unsent.Outcome() == chat.Unknown {
		return &uncertainError{err}
	}
	return err
}

func signOut(ctx context.Context, c *console, account chat.Account) error {
	was, err := chat.SignOut(ctx, account)
	switch {
	case err != nil:
		return err
	case !was:
		_, err = fmt.Fprintf(c.out, "%s is not signed in.\n", account.Handle)
	default:
		_, err = fmt.Fprintf(c.out, "Signed %s out.\n", account.Handle)
	}
	return err
}

// isScreen reports whether a screen can be drawn.
func isScreen(in, out *os.File) bool {
	kind := os.Getenv("TERM")
	return term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) && kind != "" && kind != "dumb"
}

// password comes from the file, the environment or the terminal, in this order. Standard input holds messages.
func (k *chatCmd) password(c *console) (string, error) {
	word, set := os.LookupEnv(passwordVariable)
	switch {
	case k.PasswordFile != "":
		return readPasswordFile(k.PasswordFile)
	case set:
		return word, nil
	case !term.IsTerminal(int(c.in.Fd())):
		return "", errors.New("not signed in yet, and no terminal to ask at: give --password-file or " + passwordVariable)
	case k.SignUp:
		return ask(c)
	}
	fmt.Fprint(c.err, "Password of "+k.Handle+": ")
	typed, err := term.ReadPassword(int(c.in.Fd()))
	fmt.Fprintln(c.err)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(typed), nil
}
