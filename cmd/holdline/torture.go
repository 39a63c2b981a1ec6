package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"holdline/internal/testdb/pgcluster"
	"holdline/internal/torture"
	"holdline/internal/torture/check"
	"holdline/internal/torture/history"
)

type tortureCmd struct {
	Run   tortureRunCmd   `cmd:"" default:"withargs" help:"Torture and check (this is what torture does by itself)."`
	Check tortureCheckCmd `cmd:"" help:"Check a history that was kept once more."`
	Serve tortureServeCmd `cmd:"" hidden:"" help:"Run the server by a clock that can be set."`
}

type tortureRunCmd struct {
	Database string `placeholder:"URL" help:"Where to make a database for the run: sqlite:PATH, a file that does not exist yet; the postgres:// address of a server whose user may create databases; or postgres, to start a PostgreSQL server of the run's own from the programs on this machine, which is stopped and killed too. A SQLite file in a temporary folder by default. It is removed afterwards."`
	Nodes    int    `default:"1" help:"How many servers to start on it; more than one needs PostgreSQL."`
	Hints    string `default:"off" enum:"off,postgres" help:"How several servers tell each other of new messages: off (they find out by the sweep) or postgres."`

	Server   []string `placeholder:"URL" help:"Torture a server that is there already, instead; several, separated by commas, if they share a database. Nothing is done to its processes."`
	Accounts string   `placeholder:"FILE" type:"path" help:"Accounts to use with --server: lines with a handle, a space, and a password or token. Without it the run signs up accounts of its own."`

	Duration time.Duration `default:"30s" help:"How long to torture; setting up and the end come on top."`
	Clients  int           `default:"16" help:"How many clients, two for each user."`
	Rate     int           `default:"50" help:"Messages a second, all clients together."`
	Patience time.Duration `hidden:"" help:"How long to wait in the end for what readers lack."`
	Seed     *int64        `placeholder:"N" help:"The same seed makes the same plan. By default it is chosen, and told."`
	Keep     string        `placeholder:"FOLDER" type:"path" help:"Keep the history, the plan and what the servers wrote here. By default they are kept in a temporary folder, and only if a promise was broken."`
}

// postgresOfOwn is what --database says for a PostgreSQL server of the run's own.
const postgresOfOwn = "postgres"

// clusterTimeout bounds starting a PostgreSQL server.
const clusterTimeout = 2 * time.Minute

// Run tortures, prints the report, and fails if a promise was broken.
func (t *tortureRunCmd) Run(ctx context.Context, c *console) (err error) {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	o := torture.Options{
		Program: program, Database: t.Database, Nodes: t.Nodes, Hints: t.Hints, Servers: t.Server, Accounts: t.Accounts,
		Duration: t.Duration, Clients: t.Clients, Rate: t.Rate, Patience: t.Patience, Keep: t.Keep, Progress: c.err,
	}
	if t.Accounts != "" && len(t.Server) == 0 {
		return usagef("--accounts is for --server; servers of the run's own get accounts of its own")
	}
	if o.Seed = rand.Int64N(1_000_000); t.Seed != nil {
		o.Seed = *t.Seed
	}
	// The first signal ends the plan, and what was seen is checked; a second one
	// ends the program, whose servers end with it.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if t.Database == postgresOfOwn {
		o.Database = ""
		starting, cancel := context.WithTimeout(ctx, clusterTimeout)
		defer cancel()
		cluster, err := pgcluster.New(starting, pgcluster.Options{Progress: c.err, AsIs: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, cluster.Close()) }()
		o.Postmaster = cluster
	}
	report, err := torture.Run(ctx, o)
	var usage *torture.UsageError
	if errors.As(err, &usage) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	if err := report.Write(c.out); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("promises were broken")
	}
	return nil
}

type tortureCheckCmd struct {
	Folder string `arg:"" type:"existingdir" help:"What --keep named, or what the report of a run did."`
}

// Run checks a kept history, prints what is wrong, and fails if anything is.
func (t *tortureCheckCmd) Run(c *console) error {
	h, err := history.Load(t.Folder)
	if err != nil {
		return err
	}
	report := &torture.Report{Check: check.Check(h, check.Options{}), Folder: t.Folder}
	if err := report.WriteVerdict(c.out); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("promises were broken")
	}
	return nil
}

type tortureServeCmd struct {
	serveCmd

	Clock string `required:"" type:"path" placeholder:"FILE" help:"What the clock is ahead of the machine's, in a file that others can map."`
}

// Run is serve by that clock.
func (t *tortureServeCmd) Run(ctx context.Context, c *console) (err error) {
	clock, err := torture.OpenClock(t.Clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clock.Close()) }()
	t.clock = clock.Now
	return t.serveCmd.Run(ctx, c)
}
