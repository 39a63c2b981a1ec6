package poller

import (
	"context"
	"sync/atomic"
	"time"
)

// sweeper finds what hints left behind, by asking the log what changed. It
// also learns of ended sessions and of a new epoch.
type sweeper struct {
	p       *Poller
	hurry   chan struct{} // holds one request to sweep at once
	since   int64         // used by begin, then by run alone
	failing bool
	sweptAt atomic.Int64 // when the last sweep that succeeded began; 0 after one that failed
}

func (s *sweeper) init(p *Poller) {
	s.p = p
	s.hurry = make(chan struct{}, 1)
}

// begin reads where the horizon stands. No topic exists yet, and one made later
// reads its head afterwards, so what lies below needs no sweep.
func (s *sweeper) begin(ctx context.Context) error {
	at := s.p.now()
	c, err := s.p.log.Changes(ctx, -1)
	if err != nil {
		return err
	}
	s.since = c.Closed
	s.p.inboxes.restart(c.Epoch, c.Closed)
	s.p.topics.renew(c.Epoch)
	s.sweptAt.Store(at)
	return nil
}

// now asks for a sweep at once, as after hints were lost.
func (s *sweeper) now() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// stuckInterval is the time between two sweeps while an inbox waits for the
// horizon, which moves a few times a second where writers share a database.
const stuckInterval = 100 * time.Millisecond

func (s *sweeper) run() {
	ticker := time.NewTicker(s.p.options.SweepInterval)
	defer ticker.Stop()
	soon := time.NewTimer(time.Hour)
	defer soon.Stop()
	for {
		select {
		case <-s.p.ctx.Done():
			return
		case <-ticker.C:
		case <-s.hurry:
		case <-soon.C:
		}
		s.sweep()
		if s.p.inboxes.anyStuck() {
			soon.Reset(min(stuckInterval, s.p.options.SweepInterval))
		}
		s.p.topics.tidy()
		s.p.filler.retry()
	}
}

func (s *sweeper) sweep() {
	at := s.p.now()
	ctx, cancel := context.WithTimeout(s.p.ctx, readTimeout)
	defer cancel()
	c, err := s.p.log.Changes(ctx, s.since)
	if err == nil && c.Epoch == s.p.topics.currentEpoch() {
		// The topics first, so that what is marked can be read from them.
		s.p.topics.hint(c.Heads, true)
		err = s.p.inboxes.swept(ctx, c.Heads, c.Closed, s.since)
	}
	if err != nil {
		s.p.stats.sweepFailures.Add(1)
		s.sweptAt.Store(0)
		if !s.failing && s.p.ctx.Err() == nil {
			s.p.logger.Warn("poller: the sweep failed; what other nodes commit may be late until it works again", "error", err)
		}
		s.failing = true
		return
	}
	if s.failing {
		s.p.logger.Info("poller: the sweep works again")
	}
	s.failing = false
	s.p.stats.sweeps.Add(1)
	s.since = c.Closed
	if c.Epoch != s.p.topics.currentEpoch() {
		s.p.logger.Warn("poller: the database has a new epoch; every reader starts over", "epoch", c.Epoch)
		s.p.inboxes.restart(c.Epoch, c.Closed)
		s.p.topics.renew(c.Epoch)
		s.p.pages.clear()
		s.p.waiters.reset()
	}
	for _, r := range c.Revocations {
		s.p.Revoke(r.UserID, r.SessionID)
	}
	s.sweptAt.Store(at)
}

// fresh reports whether every head is known as of about a sweep's interval ago.
func (s *sweeper) fresh() bool {
	at := s.sweptAt.Load()
	return at != 0 && s.p.now()-at <= 3*int64(s.p.options.SweepInterval)
}
