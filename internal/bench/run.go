package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"
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
	if r.Database, err = w.scratch.describe(ctx); err != nil {
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
}
