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
	"holdline/store"
)

type benchCmd struct {
	Measure benchMeasureCmd `cmd:"" default:"withargs" help:"Measure (this is what bench does by itself)."`
	Bare    benchBareCmd    `cmd:"" hidden:"" help:"Serve the handler that the server is compared with."`
	Serve   benchServeCmd   `cmd:"" hidden:"" help:"Run the server and look into it."`
}

type benchMeasureCmd struct {
	Database string   `placeholder:"URL" help:"Where to make the scratch database: sqlite:PATH, a file that does not exist yet, or the postgres:// address of a server (?host=/run/postgresql for a unix socket) whose user may create databases. A SQLite file in a temporary folder by default. It is removed afterwards."`
	Only     []string `default:"send,receive,fanout,idle,inbox,catchup,return,inboxidle,acks,horizon" enum:"send,receive,fanout,idle,inbox,catchup,return,inboxidle,acks,horizon" help:"What to measure: send, receive, fanout, idle, inbox, catchup, return, inboxidle, acks, horizon, separated by commas. All of it by default."`
	JSON     string   `name:"json" placeholder:"FILE" help:"Write the report as JSON to a file, or to standard output with -; the table then goes to standard error."`
	Check    bool     `help:"Fail if a figure misses its bar."`

	Rounds        int           `default:"3" min:"1" max:"100" help:"How often each figure is taken; sides that are compared alternate."`
	Duration      time.Duration `default:"5s" min:"100ms" max:"1h" help:"How long send, receive, inbox, acks and horizon last, per side and round."`
	Users         int           `default:"16" min:"2" max:"256" help:"How many users send and read."`
	Connections   int           `default:"64" min:"1" max:"4096" help:"send: connections that always have a request under way; horizon: sends under way."`
	Conversations int           `default:"256" min:"1" max:"100000" help:"send, idle and horizon: conversations, with all users in each."`
	TextBytes     int           `default:"64" min:"1" max:"16384" help:"Length of a message."`

	ReceiveRate          int `default:"500" min:"1" max:"100000" help:"receive: messages per second."`
	ReceiveConversations int `default:"64" min:"1" max:"4096" help:"receive: conversations, with one sender and one waiting reader each."`

	FanoutReaders  int `default:"2000" min:"1" max:"50000" help:"fanout: readers of one conversation."`
	FanoutMessages int `default:"100" min:"1" max:"100000" help:"fanout: messages per side and round."`

	IdleReaders int           `default:"5000" min:"1" max:"50000" help:"idle: readers that get nothing."`
	IdleHold    time.Duration `default:"20s" min:"0s" max:"1h" help:"idle and inboxidle: how long they are held; from 15 s on that covers a round of heartbeats."`

	InboxConversations int           `default:"1000" min:"1" max:"100000" help:"inbox and catchup: conversations of the user who follows them all."`
	InboxRate          int           `default:"500" min:"1" max:"100000" help:"inbox: messages per second."`
	InboxMoving        int           `default:"300" min:"1" max:"4096" help:"inbox: conversations that they are sent to, with one sender each."`
	CatchupMoved       []int         `default:"20,300" help:"catchup: how many of the conversations moved meanwhile, a run for each."`
	Away               time.Duration `default:"2s" min:"0s" max:"1h" help:"catchup, return and inboxidle: how long nothing happens before and after an absence; less than a second and the horizon may not have closed."`

	ReturnReaders int `default:"2000" min:"1" max:"50000" help:"return: users who come back at the same moment."`

	InboxIdleReaders       int `default:"5000" min:"1" max:"50000" help:"inboxidle: users whose inbox gets nothing."`
	InboxIdleConversations int `default:"100" min:"1" max:"1000" help:"inboxidle: conversations of each of them."`

	AckRate    int `default:"1000" min:"1" max:"100000" help:"acks: acks per second, over all readers."`
	AckReaders int `default:"50" min:"1" max:"255" help:"acks: readers of one conversation, who ack every message."`

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

		InboxConversations: b.InboxConversations,
		InboxRate:          float64(b.InboxRate),
		InboxMoving:        b.InboxMoving,
		CatchUpMoved:       b.CatchupMoved,
		Away:               b.Away,

		ReturnReaders: b.ReturnReaders,

		InboxIdleReaders:       b.InboxIdleReaders,
		InboxIdleConversations: b.InboxIdleConversations,

		AckRate:    float64(b.AckRate),
		AckReaders: b.AckReaders,

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

	CPUProfile string `name:"cpu-profile" placeholder:"FILE" help:"Write a CPU profile, from start to stop."`
	Counts     string `placeholder:"SOCKET" help:"Count what is asked of the database, and tell it at this unix socket."`
	Memory     string `placeholder:"SOCKET" help:"Tell at this unix socket how much memory is taken."`
}

// Run is serve with what was asked for.
func (b *benchServeCmd) Run(ctx context.Context, c *console) (err error) {
	if b.Counts != "" {
		counting := new(bench.Counting)
		stop, err := bench.Tell(ctx, b.Counts, counting.Answer)
		if err != nil {
			return err
		}
		defer stop()
		b.observe = func(inner store.Backend) store.Backend {
			counting.Backend = inner
			return counting
		}
	}
	if b.Memory != "" {
		stop, err := bench.Tell(ctx, b.Memory, bench.AnswerMemory)
		if err != nil {
			return err
		}
		defer stop()
	}
	if b.CPUProfile == "" {
		return b.serveCmd.Run(ctx, c)
	}
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
