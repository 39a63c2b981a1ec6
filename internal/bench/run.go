package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"holdline/store"
)

// Run measures what o asks for and reports it. On an error the report holds
// what had been measured until then. The scratch database is removed on every
// way out.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	r = &Report{
		StartedAt: time.Now().UTC().Truncate(time.Second),
		Machine:   describeMachine(),
		Settings:  Settings{Rounds: o.Rounds, Seconds: o.Duration.Seconds(), Users: o.Users, TextBytes: o.TextBytes},
		Bars:      []Bar{},
	}
	if o.Profile != "" {
		if err := os.MkdirAll(o.Profile, 0o755); err != nil { //nolint:gosec // profiles are no secret
			return r, err
		}
	}
	w := &world{o: &o}
	if w.scratch, err = newScratch(ctx, o.Database); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.scratch.drop()) }()
	o.progress("setting up %d users on %s", o.Users, w.scratch.name)
	if err := w.settle(ctx); err != nil {
		return r, err
	}
	if err := w.scratch.with(ctx, func(b store.Backend) (err error) {
		r.Database, err = w.scratch.describe(ctx, b)
		return err
	}); err != nil {
		return r, err
	}
	for _, m := range []struct {
		name string
		run  func() error
	}{
		{MeasureSend, func() (err error) { r.Send, err = measureSend(ctx, &o, w); return err }},
		{MeasureReceive, func() (err error) { r.Receive, err = measureReceive(ctx, &o, w); return err }},
		{MeasureFanout, func() (err error) { r.Fanout, err = measureFanout(ctx, &o, w); return err }},
		{MeasureIdle, func() (err error) { r.Idle, err = measureIdle(ctx, &o, w); return err }},
		{MeasureInbox, func() (err error) { r.Inbox, err = measureInbox(ctx, &o, w); return err }},
		{MeasureCatchUp, func() (err error) { r.CatchUp, err = measureCatchUp(ctx, &o, w); return err }},
		{MeasureReturn, func() (err error) { r.Return, err = measureReturn(ctx, &o, w); return err }},
		{MeasureInboxIdle, func() (err error) { r.InboxIdle, err = measureInboxIdle(ctx, &o, w); return err }},
		{MeasureAcks, func() (err error) { r.Acks, err = measureAcks(ctx, &o, w); return err }},
		{MeasureHorizon, func() (err error) { r.Horizon, err = measureHorizon(ctx, &o, w); return err }},
	} {
		if !slices.Contains(o.Only, m.name) {
			continue
		}
		if err := m.run(); err != nil {
			return r, err
		}
	}
	r.setBars()
	return r, nil
}

// setBars compares what was measured.
func (r *Report) setBars() {
	if r.Send != nil {
		bar := barSendSQLite
		if r.Database.Kind == "postgres" {
			bar = barSendPostgres
		}
		r.atLeast("send: rate / bare handler", r.Send.Ratio, bar, "")
	}
	if r.Receive != nil {
		r.atMost("receive: p99 from 201 to frame", r.Receive.P99, barReceiveP99, "ms")
	}
	if r.Fanout != nil {
		r.atLeast("fanout: bare loop / time from first to last reader", r.Fanout.Ratio, barFanout, "")
	}
	if r.Idle != nil {
		r.atMost("idle: resident per SSE reader", r.Idle.PerReader, barIdle, "KiB")
	}
	if r.Inbox != nil {
		r.atMost("inbox: longest cursor", float64(r.Inbox.CursorMax), barCursor, "characters")
	}
	if r.InboxIdle != nil {
		r.atMost("inboxidle: memory per stream, above a plain one", r.InboxIdle.Above, barInboxIdle, "KiB")
		r.atMost("inboxidle: memory per long-poll", r.InboxIdle.Polls.PerReader, barInboxPoll, "KiB")
	}
	if r.Acks != nil {
		r.atMost("acks: database writes a second and reader", r.Acks.PerReader, barAckWrites, "")
	}
}
