package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"holdline/store"
)

// Log is what the live plane reads of the store; *store.Store is one.
type Log interface {
	// Membership is a viewer's readable stretches and the head, fresh from the primary.
	Membership(ctx context.Context, conversation, user store.ID) (store.Membership, error)
	// Events reads a range of the log, whoever asks.
	Events(ctx context.Context, conversation store.ID, from, to int64, limit int) (events []store.Event, more bool, err error)
	// LastSeq is a conversation's head, fresh from the primary.
	LastSeq(ctx context.Context, conversation store.ID) (int64, error)
	// Changes is what has been committed above a stamp, by whatever node; a
	// negative one asks only where the horizon stands.
	Changes(ctx context.Context, since int64) (store.Changes, error)

	InboxLog
}

// InboxLog is what inboxes read of the store.
type InboxLog interface {
	// A user's conversations, those of them that moved above a
	// stamp, the places that a cursor names, a conversation's place at a closed
	// stamp; and what changed for whom.
	Interests(ctx context.Context, user store.ID) ([]store.Interest, error)
	Moved(ctx context.Context, user store.ID, since, from int64, limit int) (store.MovedPage, error)
	Places(ctx context.Context, user store.ID, since int64, named []store.SlotPlace) ([]store.Place, error)
	PlaceAt(ctx context.Context, conversation store.ID, stamp int64) (int64, error)
	// How far conversations have got.
	Heads(ctx context.Context, conversations []store.ID) ([]store.Head, error)
	InboxChanges(ctx context.Context, since int64) (store.InboxChanges, error)
	// Watermarks that moved above a stamp: of conversations, or of all that a
	// user is in; and which conversations name people in receipts.
	MovesIn(ctx context.Context, conversations []store.ID, since int64) ([]store.WatermarkMove, error)
	MovesFor(ctx context.Context, user store.ID, since int64) ([]store.WatermarkMove, error)
	NamesReaders(ctx context.Context, conversations []store.ID) (map[store.ID]bool, error)
}

// Options tune a Poller; the zero value of each field means its default.
type Options struct {
	Logger *slog.Logger // default slog.Default()
	// SweepInterval is how often the log is asked what changed (default 1 s):
	// the most that a lost hint costs.
	SweepInterval time.Duration
	// Hints carries hints between nodes; nil leaves it to the sweep.
	Hints Hints
	// RingEvents and RingBytes bound one conversation's ring (default 1024
	// events, 1 MiB).
	RingEvents, RingBytes int
	// TotalRingBytes bounds all rings together (default 64 MiB): past it each
	// keeps only its newest event.
	TotalRingBytes int64
	// PageBytes bounds the pages of the store that are kept (default 32 MiB).
	PageBytes int
	// MaxIdleTopics is how many conversations without readers are followed
	// (default 4096), each for TopicIdle (default 60 s) at most.
	MaxIdleTopics int
	TopicIdle     time.Duration
}

func (o *Options) fillDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.SweepInterval = positive(o.SweepInterval, time.Second)
	o.RingEvents = positive(o.RingEvents, 1024)
	o.RingBytes = positive(o.RingBytes, 1<<20)
	o.TotalRingBytes = positive(o.TotalRingBytes, 64<<20)
	o.PageBytes = positive(o.PageBytes, 32<<20)
	o.MaxIdleTopics = positive(o.MaxIdleTopics, 4096)
	o.TopicIdle = positive(o.TopicIdle, time.Minute)
}

func positive[T int | int64 | time.Duration](value, fallback T) T {
	if value > 0 {
		return value
	}
	return fallback
}

// Poller is the live plane of one node. Its methods may be called from any
// goroutine. Feed may be called before Start, everything else after it.
type Poller struct {
	options Options
	logger  *slog.Logger
	log     Log
	born    time.Time

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	topics  topics
	pages   pages
	waker   waker
	filler  filler
	wheel   wheel
	waiters waiters
	sweeper sweeper
	inboxes inboxes
	outbox  *outbox // nil without Options.Hints

	// background counts the goroutines that Close waits for. closing forbids
	// new ones; both are guarded by spawnMu.
	spawnMu    sync.Mutex
	closing    bool
	background sync.WaitGroup

	revoked atomic.Pointer[func(user, session store.ID)] // OnRevoked's

	stats counters
}

// New makes a Poller that does nothing yet. Give its Feed to store.Options.Feed,
// then Start it on that store.
func New(o Options) *Poller {
	o.fillDefaults()
	p := &Poller{options: o, logger: o.Logger, born: time.Now()}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.topics.init(p)
	p.pages.init(p)
	p.waker.init(p)
	p.filler.init(p)
	p.wheel.init(p)
	p.waiters.init()
	p.sweeper.init(p)
	p.inboxes.init(p)
	if o.Hints != nil {
		p.outbox = newOutbox(p, o.Hints)
	}
	return p
}

// Start begins to follow the log. It reads where the log stands, and fails if
// that cannot be read before ctx ends. It is called once.
func (p *Poller) Start(ctx context.Context, log Log) error {
	p.log = log
	if err := p.sweeper.begin(ctx); err != nil {
		return fmt.Errorf("reading where the log stands: %w", err)
	}
	p.spawn(p.waker.run)
	p.spawn(p.wheel.run)
	p.spawn(p.sweeper.run)
	p.spawn(p.inboxes.run)
	if p.outbox != nil {
		p.spawn(p.outbox.run)
		p.spawn(p.outbox.receive)
	}
	return nil
}

// Feed takes what this process has just committed, in commit order: it is
// store.Options.Feed, called by the store's writer. It keeps nothing of the
// slice. Events of conversations that nobody follows cost a look-up.
func (p *Poller) Feed(events []store.Event) {
	p.topics.feed(events)
	p.inboxes.feed(events)
	if p.outbox != nil {
		p.outbox.add(events)
	}
}

// FeedMoved takes the conversations whose watermarks this process has just
// moved: it is store.Options.FeedMoved.
func (p *Poller) FeedMoved(conversations []store.ID) { p.inboxes.watermarksMoved(conversations) }

// Revoke ends the readers of a session at once; session 0: all of the user's.
func (p *Poller) Revoke(user, session store.ID) {
	if f := p.revoked.Load(); f != nil {
		(*f)(user, session)
	}
	p.waiters.revoke(user, session)
}

// OnRevoked sets what is told of every session that ends, here or, found by
// the sweep, on another node, before its readers are ended. It must not block.
func (p *Poller) OnRevoked(f func(user, session store.ID)) { p.revoked.Store(&f) }

// Epoch is the epoch that cursors carry now.
func (p *Poller) Epoch() string { return p.topics.currentEpoch() }

// Drain tells every reader that waits, now or later, to finish: those with a
// deadline at once, the others at random moments within spread, so that their
// clients do not all return together. Readers go on reading what is committed.
func (p *Poller) Drain(spread time.Duration) {
	p.waiters.drain(p, spread)
}

// Close drains without delay, ends every goroutine of the package and waits
// for them until ctx ends. Close what uses readers first.
func (p *Poller) Close(ctx context.Context) error {
	p.Drain(0)
	p.spawnMu.Lock()
	p.closing = true
	p.spawnMu.Unlock()
	p.stop()
	done := make(chan struct{})
	go func() {
		p.background.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("poller: still busy"), ctx.Err())
	}
}

// spawn runs fn on a goroutine that Close waits for; false once closing.
func (p *Poller) spawn(fn func()) bool {
	p.spawnMu.Lock()
	defer p.spawnMu.Unlock()
	if p.closing {
		return false
	}
	p.background.Go(fn)
	return true
}

// now is the time since the Poller was made, in nanoseconds, never 0; it is
// monotonic and fits in an atomic.
func (p *Poller) now() int64 { return int64(time.Since(p.born)) + 1 }
