package poller

import "sync/atomic"

// Stats is how the live plane is doing: sizes now, and counts since Start.
type Stats struct {
	Topics    int   // conversations followed
	Idle      int   // of them without readers
	Waiting   int   // readers that wait, or are being written to
	RingBytes int64 // of all rings
	PageBytes int   // of the store's pages that are kept

	Fills         int64 // reads of the log for topics that lacked something
	FalseHints    int64 // hints that the log did not bear out
	PageReads     int64 // pages read for readers that the ring had passed
	PageHits      int64 // pages that had been read already
	Sweeps        int64
	SweepFailures int64
	HintsSent     int64 // conversations named to other nodes
	HintsReceived int64 // conversations named by other nodes
	HintsDropped  int64 // conversations not named, for want of room
	Fresh         bool  // the sweep works
}

// Stats tells how the live plane is doing.
func (p *Poller) Stats() Stats {
	s := Stats{
		RingBytes:     p.topics.ringBytes.Load(),
		Fills:         p.stats.fills.Load(),
		FalseHints:    p.stats.falseHints.Load(),
		PageReads:     p.stats.pageReads.Load(),
		PageHits:      p.stats.pageHits.Load(),
		Sweeps:        p.stats.sweeps.Load(),
		SweepFailures: p.stats.sweepFailures.Load(),
		HintsSent:     p.stats.hintsSent.Load(),
		HintsReceived: p.stats.hintsReceived.Load(),
		HintsDropped:  p.stats.hintsDropped.Load(),
		Fresh:         p.sweeper.fresh(),
	}
	p.topics.mu.RLock()
	s.Topics, s.Idle = len(p.topics.byID), p.topics.idleCount
	p.topics.mu.RUnlock()
	p.waiters.mu.Lock()
	s.Waiting = p.waiters.count
	p.waiters.mu.Unlock()
	p.pages.mu.Lock()
	s.PageBytes = p.pages.bytes
	p.pages.mu.Unlock()
	return s
}

// counters are the counts of Stats.
type counters struct {
	fills, falseHints, pageReads, pageHits atomic.Int64
	sweeps, sweepFailures                  atomic.Int64
	hintsSent, hintsReceived, hintsDropped atomic.Int64
}
