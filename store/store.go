package store

import (
	"context"
	"log/slog"
)

// Options tune a Store; the zero value of each field means its default.
type Options struct {
	Logger *slog.Logger
	// Feed receives every committed event once, in commit order, before its
	// sender is answered. It must not block or do I/O, and must not keep the slice.
	Feed func([]Event)
	// MaxQueued is how many sends may wait for the writer (default 8192); past
	// it CodeOverloaded.
	MaxQueued int
	// MaxQueuedPerSender bounds one user's share of it (default 256).
	MaxQueuedPerSender int
}

// Store is the durable log over one database. Its methods may be called from
// any goroutine.
type Store struct {
	backend Backend
	// …
}

// New starts a Store over an open, migrated backend. Close stops it.
func New(ctx context.Context, b Backend, o Options) (*Store, error) { panic("me") }

// Epoch is the short random name of this database's life; part of every cursor.
func (s *Store) Epoch() string { panic("me") }

// MACKey is the database's secret for tickets and, later, inbox cursors.
func (s *Store) MACKey() []byte { panic("me") }

// Ping reports whether the database can be read and written.
func (s *Store) Ping(ctx context.Context) error { return s.backend.Ping(ctx) }

// Close answers everything that waits, finishes what was accepted, and closes the backend.
func (s *Store) Close() error { panic("me") }
