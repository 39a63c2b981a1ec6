package sqlite

import (
	"context"
	"errors"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"holdline/store"
)

// maxRead bounds the age of a read transaction: an open one keeps the WAL from
// being reset.
const maxRead = 10 * time.Second

// Read implements store.Backend.
func (b *Backend) Read(ctx context.Context, fn func(tx *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, maxRead)
	defer cancel()
	tx, err := b.readers.BeginTxx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	return classify(fn(store.NewTx(ctx, tx)))
}

// Write implements store.Backend.
func (b *Backend) Write(ctx context.Context, fn func(tx *store.Tx) error, committed func()) error {
	if err := b.takeTurn(ctx); err != nil {
		return err
	}
	defer b.endTurn()
	background := context.Background()
	tx, err := b.writer.BeginTxx(background, nil)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := fn(store.NewTx(background, tx)); err != nil {
		return classify(err)
	}
	if err := tx.Commit(); err != nil {
		return classifyCommit(err)
	}
	committed()
	return nil
}

func (b *Backend) takeTurn(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &store.Error{Code: store.CodeUnavailable, Message: "the database was busy; nothing was stored, try again shortly", Err: ctx.Err()}
	}
}

func (b *Backend) endTurn() {
	b.turns.Add(1)
	<-b.turn
}

// Stamp implements store.Backend: the number of the write, closed by its own commit.
func (b *Backend) Stamp(tx *store.Tx) (int64, error) {
	var stamp int64
	err := tx.Get(&stamp, advanceHorizon)
	return stamp, err
}

const advanceHorizon = `UPDATE horizon SET h = h + 1, closed = h WHERE id = 1 RETURNING closed`

// Horizon implements store.Backend.
func (b *Backend) Horizon(ctx context.Context) (h, closed int64, err error) {
	err = b.Read(ctx, func(tx *store.Tx) error {
		var row struct {
			H      int64 `db:"h"`
			Closed int64 `db:"closed"`
		}
		err := tx.Get(&row, `SELECT h, closed FROM horizon WHERE id = 1`)
		h, closed = row.H, row.Closed
		return err
	})
	return h, closed, err
}

// CloseHorizon implements store.Backend: each write closes its own.
func (b *Backend) CloseHorizon(context.Context) error { return nil }

// classify gives the database's failures their meaning; others pass through.
func classify(err error) error {
	var e *sqlite.Error
	if err == nil || !errors.As(err, &e) {
		if errors.Is(err, context.DeadlineExceeded) {
			return &store.Error{Code: store.CodeUnavailable, Message: "the database took too long; try again shortly", Err: err}
		}
		return err
	}
	switch e.Code() & 0xff { // the primary result code
	case sqlite3.SQLITE_FULL:
		return &store.Error{Code: store.CodeStorageFull, Message: "the server's storage is full; nothing was stored", Err: err}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return &store.Error{Code: store.CodeUnavailable, Message: "the database cannot be used right now; nothing was stored, try again shortly", Err: err}
	}
	return err
}

// classifyCommit is classify for what COMMIT itself returns: after a failed
// write or fsync nobody knows what a recovery would find in the WAL.
func classifyCommit(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code()&0xff == sqlite3.SQLITE_BUSY) {
		return classify(err)
	}
	return &store.Error{Code: store.CodeOutcomeUnknown, Message: "the commit failed half-way; repeat with the same client_id to learn the outcome", Err: err}
}
