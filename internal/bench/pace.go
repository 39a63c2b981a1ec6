package bench

import (
	"context"
	"time"
)

// pace is an open-loop schedule: tick i is due at start + offset + i·interval,
// however long the ticks before it took.
type pace struct {
	start    time.Time
	interval time.Duration
}

// stagger returns the schedule of one of n senders that share a rate of total
// starts per second: evenly spaced within each sender and between them.
func stagger(start time.Time, rate float64, sender, n int) pace {
	step := time.Duration(float64(time.Second) / rate)
	return pace{start: start.Add(time.Duration(sender) * step), interval: time.Duration(n) * step}
}

// due returns when tick i should start.
func (p pace) due(i int) time.Time { return p.start.Add(time.Duration(i) * p.interval) }

// wait sleeps until tick i is due, at once if that has passed, and returns
// when it was due.
func (p pace) wait(ctx context.Context, i int) (time.Time, error) {
	due := p.due(i)
	d := time.Until(due)
	if d <= 0 {
		return due, ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return due, nil
	case <-ctx.Done():
		return due, ctx.Err()
	}
}
