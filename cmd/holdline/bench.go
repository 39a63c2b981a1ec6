package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"holdline/internal/bench"
)

type benchCmd struct {
	Measure benchMeasureCmd `cmd:"" default:"withargs" help:"Measure (this is what bench does by itself)."`
	Bare    benchBareCmd    `cmd:"" hidden:"" help:"Serve the handler that the server is compared with."`
	Serve   benchServeCmd   `cmd:"" hidden:"" help:"Run the server with a CPU profile."`
}

type benchMeasureCmd struct {
	Database string   `placeholder:"URL" help:"Where to make the scratch database: sqlite:PATH, a file that does not exist yet, or the postgres:// address of a server (?host=/run/postgresql for a unix socket) whose user may create databases. A SQLite file in a temporary folder by default. It is removed afterwards."`
	Only     []string `default:"send,receive,fanout,idle" enum:"send,receive,fanout,idle" help:"What to measure: send, receive, fanout, idle, separated by commas. All of it by default."`
	JSON     string   `name:"json" placeholder:"FILE" help:"Write the report as JSON to a file, or to standard output with -; the table then goes to standard error."`
	Check    bool     `help:"Fail if a figure misses its bar."`

	Rounds        int           `default:"3" min:"1" max:"100" help:"How often each figure is taken; sides that are compared alternate."`
	Duration      time.Duration `default:"5s" min:"100ms" max:"1h" help:"How long send and receive last, per side and round."`
	Users         int           `default:"16" min:"2" max:"256" help:"How many users send and read."`
	Connections   int           `default:"64" min:"1" max:"4096" help:"send: connections that always have a request under way."`
	Conversations int           `default:"256" min:"1" max:"100000" help:"send and idle: conversations, with all users in each."`
	TextBytes     int           `default:"64" min:"1" max:"16384" help:"Length of a message."`

	ReceiveRate          int `default:"500" min:"1" max:"100000" help:"receive: messages per second."`
	ReceiveConversations int `default:"64" min:"1" max:"4096" help:"receive: conversations, with one sender and one waiting reader each."`

	FanoutReaders  int `default:"2000" min:"1" max:"50000" help:"fanout: readers of one conversation."`
	FanoutMessages int `default:"100" min:"1" max:"100000" help:"fanout: messages per side and round."`

	IdleReaders int           `default:"5000" min:"1" max:"50000" help:"idle: readers that get nothing."`
	IdleHold    time.Duration `default:"20s" min:"0s" max:"1h" help:"idle: how long they are held; from 15 s on that covers a round of heartbeats."`

	CPUProfiles string `name:"cpu-profiles" placeholder:"FOLDER" help:"Write a CPU profile of the server for each measurement."`
}

// Run measures, prints the table and perhaps the JSON.
func (b *benchMeasureCmd) Run(ctx context.Context, c *console) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	report, err := bench.Run(ctx, bench.Options{
		Program:  program,
		Database: b.Database,
		Only:     b.Only,

		Rounds:        b.Rounds,
		Duration:      b.Duration,
		Users:         b.Users,
		Connections:   b.Connections,
		Conversations: b.Conversations,
		TextBytes:     b.TextBytes,

		ReceiveRate:          float64(b.ReceiveRate),
		ReceiveConversations: b.ReceiveConversations,

		FanoutReaders:  b.FanoutReaders,
		FanoutMessages: b.FanoutMessages,

		IdleReaders: b.IdleReaders,
		IdleHold:    b.IdleHold,

		Profile:  b.CPUProfiles,
		Progress: c.err,
	})
	if ctx.Err() != nil {
		return errors.New("interrupted; the scratch database has been removed")
	}
	if err != nil {
		return err
	}
	if err := b.print(c, report); err != nil {
		return err
	}
	if missed := report.Missed(); b.Check && len(missed) > 0 {
		names := make([]string, len(missed))
		for i, bar := range missed {
			names[i] = bar.Name
		}
		return fmt.Errorf("bars missed: %s", strings.Join(names, "; "))
	}
	return nil
}

func (b *benchMeasureCmd) print(c *console, report *bench.Report) error {
	table := c.out
	if b.JSON == "-" {
		table = c.err
	}
	if err := report.WriteTable(table); err != nil {
		return err
	}
	if b.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if b.JSON == "-" {
		_, err = c.out.Write(text)
		return err
	}
	return os.WriteFile(b.JSON, text, 0o644) //nolint:gosec // figures are no secret
}

type benchBareCmd struct {
	Listen string `default:"127.0.0.1:0" help:"Address to listen at."`
}

// Run serves until a signal.
func (b *benchBareCmd) Run(ctx context.Context, c *console) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return bench.Bare(ctx, b.Listen, c.out)
}

type benchServeCmd struct {
	serveCmd

	CPUProfile string `name:"cpu-profile" required:"" placeholder:"FILE" help:"Where to write the profile, from start to stop."`
}

// Run is serve under the profiler.
func (b *benchServeCmd) Run(ctx context.Context, c *console) (err error) {
	f, err := os.Create(b.CPUProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return b.serveCmd.Run(ctx, c)
}
