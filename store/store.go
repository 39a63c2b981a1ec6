package store

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options tune a Store; the zero value of each field means its default.
type Options struct {
	Logger *slog.Logger
	// Feed receives every committed event once, before its sender is answered;
	// the package's promise 6 says in what order. It may be called from several
	// goroutines. It must not block or do I/O, and must not keep the slice.
	Feed func([]Event)
	// FeedMoved receives the conversations whose watermarks have just moved,
	// after the commit. It must not block or do I/O. nil: nobody is told.
	FeedMoved func(conversations []ID)
	// MaxQueued is how many sends may wait for the writer (default 8192); past
	// it CodeOverloaded.
	MaxQueued int
	// MaxQueuedPerSender bounds one user's share of it (default 256).
	MaxQueuedPerSender int
	// HorizonInterval is how often the horizon moves while there is traffic (default 250 ms).
	HorizonInterval time.Duration
	// Clock replaces time.Now, for tests.
	Clock func() time.Time
}

func (o *Options) fillDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Feed == nil {
		o.Feed = func([]Event) {}
	}
	if o.MaxQueued <= 0 {
		o.MaxQueued = 8192
	}
	if o.MaxQueuedPerSender <= 0 {
		o.MaxQueuedPerSender = 256
	}
	if o.HorizonInterval <= 0 {
		o.HorizonInterval = 250 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
}

// Store is the durable log over one database. Its methods may be called from
// any goroutine.
type Store struct {
	backend Backend
	options Options
	log     *slog.Logger
	feed    func([]Event)

	epoch  atomic.Pointer[string]
	macKey []byte

	lane     *lane
	receipts *receiptWriter

	stop       context.CancelFunc
	background sync.WaitGroup
	closeOnce  sync.Once
	closeErr   error
}

// New starts a Store over an open, migrated backend. Close stops it.
func New(ctx context.Context, b Backend, o Options) (*Store, error) {
	o.fillDefaults()
	s := &Store{backend: b, options: o, log: o.Logger, feed: o.Feed}
	if err := s.loadMeta(ctx); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.lane = newLane(s)
	s.receipts = newReceiptWriter(s)
	s.background.Go(s.lane.run)
	s.background.Go(func() { s.keepHorizon(running) })
	return s, nil
}

// Epoch is the short random name of this database's life; part of every cursor.
func (s *Store) Epoch() string { return *s.epoch.Load() }

// MACKey is the database's secret for tickets and, later, inbox cursors.
func (s *Store) MACKey() []byte { return s.macKey }

// Ping reports whether the database can be read and written.
func (s *Store) Ping(ctx context.Context) error { return s.backend.Ping(ctx) }

// Close answers everything that waits, finishes what was accepted, and closes
// the backend. Later calls return the first one's result.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.lane.close()
		s.receipts.close()
		s.stop()
		s.background.Wait()
		s.lane.waitSide()
		s.closeErr = s.backend.Close()
	})
	return s.closeErr
}

func (s *Store) now() Millis { return MillisOf(s.options.Clock()) }

// write runs fn in one durable transaction and feeds the events it returns
// once they are committed.
func (s *Store) write(ctx context.Context, fn func(tx *Tx) ([]Event, error)) error {
	var events []Event
	return s.backend.Write(ctx, func(tx *Tx) (err error) {
		events, err = fn(tx)
		return err
	}, func() {
		if len(events) > 0 {
			s.feed(events)
		}
	})
}
