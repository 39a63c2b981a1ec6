package torture

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Options say what to torture, how long, and how hard.
type Options struct {
	// Program is the holdline binary, whose `serve` the run starts. Not needed
	// with Servers.
	Program string
	// Database is where a database is made for the run and removed afterwards:
	// sqlite:PATH, where nothing may be yet, or the postgres:// address of a server
	// whose user may create databases. Empty: a SQLite file in a temporary folder.
	Database string
	// Postmaster, if it is not nil, is a PostgreSQL server that the run may stop
	// and kill; the database is made there, and Database is not looked at.
	Postmaster Postmaster
	// Nodes is how many servers the run starts; more than one needs PostgreSQL.
	Nodes int
	// Hints is how they tell each other of new messages: off or postgres.
	Hints string
	// ServeArgs are further arguments for the servers that the run starts, and
	// ServeEnv is added to their environment, as NAME=value.
	ServeArgs, ServeEnv []string

	// Servers are the http(s):// addresses of servers that are there already, all
	// on one database. Then Program, Database, Postmaster, Nodes, Hints, ServeArgs
	// and ServeEnv are not looked at, and nothing is done to any process.
	Servers []string
	// Accounts is a file of accounts to use, see readAccounts; empty: the run
	// signs up accounts of its own.
	Accounts string

	Seed     int64         // the same seed makes the same plan
	Duration time.Duration // of the plan; setting up and the end come on top
	Clients  int
	Rate     int // sends a second, all clients together
	// Patience is how long, in the end, events are waited for that readers lack;
	// 0: 45 s, which is enough on any machine.
	Patience time.Duration

	// Keep is a folder for the history, made if missing. Empty: a new folder
	// below TMPDIR, which is removed if all promises held.
	Keep string
	// Progress is told what goes on, a line at a time; nil for nobody.
	Progress io.Writer
}

// UsageError says that options make no sense, so that nothing was tried.
type UsageError struct{ error }

func (e *UsageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// Bounds of Options. A plan needs a client at least; more than these would test
// the machine.
const (
	MaxNodes    = 8
	MaxClients  = 500
	MaxRate     = 5000
	MinDuration = time.Second
	MaxDuration = 24 * time.Hour
)

// leastUsers is how many users a plan needs.
const leastUsers = 3

func (o *Options) check() error {
	switch {
	case o.Clients < 1 || o.Clients > MaxClients:
		return usagef("clients must be from 1 to %d, not %d", MaxClients, o.Clients)
	case o.Rate < 1 || o.Rate > MaxRate:
		return usagef("rate must be from 1 to %d, not %d", MaxRate, o.Rate)
	case o.Duration < MinDuration || o.Duration > MaxDuration:
		return usagef("duration must be from %v to %v, not %v", MinDuration, MaxDuration, o.Duration)
	case len(o.Servers) > 0 && (o.Database != "" || o.Postmaster != nil):
		return usagef("a database cannot be chosen for servers that are there already")
	case len(o.Servers) > 0:
		return nil
	case o.Nodes < 1 || o.Nodes > MaxNodes:
		return usagef("nodes must be from 1 to %d, not %d", MaxNodes, o.Nodes)
	case o.Nodes > 1 && !o.onPostgres():
		return usagef("a SQLite file is served by one server; %d nodes need PostgreSQL", o.Nodes)
	case o.Program == "":
		return errors.New("no program to run")
	}
	return nil
}

func (o *Options) onPostgres() bool {
	return o.Postmaster != nil || strings.HasPrefix(o.Database, "postgres://") || strings.HasPrefix(o.Database, "postgresql://")
}

// scale is what the plan is made from; accounts is how many were given, 0 for
// none.
func (o *Options) scale(accounts int) Scale {
	s := Scale{
		Seed: o.Seed, Duration: o.Duration, Clients: o.Clients, Rate: o.Rate, Nodes: o.Nodes,
		Users: max(leastUsers, (o.Clients+1)/2), Processes: true, Sessions: o.onPostgres(), Database: o.Postmaster != nil,
	}
	if n := len(o.Servers); n > 0 {
		s.Nodes, s.Processes, s.Sessions, s.Database = n, false, false, false
	}
	if accounts > 0 {
		s.Users = min(s.Users, accounts)
	}
	s.Conversations = s.Users + 3
	return s
}

// leftOut names the faults that a run of this scale cannot bring about, with
// the reason.
func (s Scale) leftOut(onPostgres, own bool) (all []string) {
	if !s.Processes {
		all = append(all, fmt.Sprintf("%s, %s, %s, %s of servers: they are not this run's own", Pause, Kill, Stop, Skew))
	}
	switch {
	case !own:
		all = append(all, fmt.Sprintf("%s, %s, %s: the database is not this run's own", DatabaseKill, DatabaseStop, Sessions))
	case !onPostgres:
		all = append(all, fmt.Sprintf("%s, %s, %s: SQLite is no server", DatabaseKill, DatabaseStop, Sessions))
	case !s.Database:
		all = append(all, fmt.Sprintf("%s, %s: the PostgreSQL server was not started by this run", DatabaseKill, DatabaseStop))
	}
	return all
}
