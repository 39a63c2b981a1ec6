// Command holdline is the chat server and everything around it. This package
// is wiring, flags and printing; what is more than that lives in packages of
// its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit statuses.
const (
	exitFailed = 1 // it was tried, and failed
	exitUsage  = 2 // a flag, variable or key is wrong; nothing was tried
	// exitUnknown is EX_TEMPFAIL of sysexits.h: it is not certain yet, and may be tried again.
	exitUnknown = 75
)

const description = `A chat server for clients that cannot hold a WebSocket.

Every setting can be given as a flag (--listen), as a variable in the environment (HOLDLINE_LISTEN),
or as a key in the file that --config names (listen = "…", TOML). A flag wins over the environment,
and the environment over the file. An unknown flag, variable or key is refused.`

// cli is the whole command line. Fields tagged `setting` can also come from the
// environment and the configuration file; `min` and `max` are their limits.
type cli struct {
	Config kong.ConfigFlag `placeholder:"FILE" env:"HOLDLINE_CONFIG" help:"TOML file with settings, named as the flags are."`

	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Migrate migrateCmd `cmd:"" help:"Bring a database's schema up to date, making the database's tables if there are none. serve does this too."`
	User    userCmd    `cmd:"" help:"Manage accounts. All of it works while a server runs on the same database."`
	Chat    chatCmd    `cmd:"" help:"Chat in the terminal, or in lines of text."`
	Send    sendCmd    `cmd:"" help:"Send one message, and say by the exit status whether it was certainly accepted."`
	Tail    tailCmd    `cmd:"" help:"Print a line for each event, and go on where it was."`
	Bench   benchCmd   `cmd:"" help:"Measure sending, receiving, fan-out and idle readers on this machine."`
	Torture tortureCmd `cmd:"" help:"Make servers suffer under many clients, and check every promise from what those saw."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// console is where a command reads and writes.
type console struct {
	in       *os.File
	out, err io.Writer
}

func main() {
	// What this program writes holds people's messages and accounts: it is for
	// its own user's eyes.
	syscall.Umask(0o077)
	os.Exit(run(os.Args[1:], &console{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// run is main with its surroundings given; it returns the exit status.
func run(args []string, c *console) (status int) {
	parser, err := newParser(&cli{}, c)
	if err != nil {
		panic(err) // the command line's definition is wrong: every test would fail
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	// --help ends the parse by this panic, since it has nothing to return.
	defer func() {
		if r := recover(); r != nil {
			exit, ok := r.(exitNow)
			if !ok {
				panic(r)
			}
			status = int(exit)
		}
	}()
	ctx, err := parse(parser, args)
	if err != nil {
		fmt.Fprintf(c.err, "holdline: %v\n", err)
		var parseError *kong.ParseError
		if errors.As(err, &parseError) {
			fmt.Fprintf(c.err, "Run %s for what there is.\n", helpCommand(parseError.Context))
		}
		return exitUsage
	}
	ctx.BindTo(context.Background(), (*context.Context)(nil))
	if err := ctx.Run(); err != nil {
		fmt.Fprintf(c.err, "holdline: %v\n", err)
		var usage *usageError
		if errors.As(err, &usage) {
			return exitUsage
		}
		var uncertain *uncertainError
		if errors.As(err, &uncertain) {
			return exitUnknown
		}
		return exitFailed
	}
	return 0
}

// usageError is a setting that turned out wrong only when it was used.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// uncertainError is a send whose outcome is not known.
type uncertainError struct{ error }

func (e *uncertainError) Unwrap() error { return e.error }

type exitNow int

func newParser(grammar *cli, c *console) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("holdline"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, NoAppDescFormat: true, WrapUpperBound: 120}),
		kong.ValueFormatter(formatSetting),
		kong.Writers(c.out, c.err),
		kong.Exit(func(status int) { panic(exitNow(status)) }),
		kong.Configuration(loadConfig),
		kong.PostBuild(nameVariables),
		kong.Bind(c),
		kong.ExplicitGroups(groups),
	)
}

// groups are the headings of serve --help, in order.
var groups = []kong.Group{
	{Key: "database", Title: "Database:"},
	{Key: "http", Title: "HTTP:"},
	{Key: "accounts", Title: "Accounts:"},
	{Key: "delivery", Title: "Delivery:"},
	{Key: "limits", Title: "Limits:"},
	{Key: "process", Title: "Process:"},
}

func helpCommand(ctx *kong.Context) string {
	command := "holdline"
	if ctx != nil && ctx.Selected() != nil {
		command = ctx.Selected().FullPath()
	}
	return `"` + command + ` --help"`
}
