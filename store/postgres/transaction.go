package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"holdline/store"
)

// Read implements store.Backend.
func (b *Backend) Read(ctx context.Context, fn func(tx *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	tx, err := b.reads.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	return classify(fn(store.NewTx(ctx, tx)))
}

// Write implements store.Backend.
func (b *Backend) Write(ctx context.Context, fn func(tx *store.Tx) error, committed func()) error {
	conn, err := b.writes.Connx(ctx)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = conn.Close() }()
	// From here on the request's context must not reach the transaction: its
	// cancel could hit the COMMIT.
	background := context.Background()
	tx, err := conn.BeginTxx(background, nil)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := fn(store.NewTx(background, tx)); err != nil {
		return classify(err)
	}
	if err := commit(conn, tx.Commit); err != nil {
		return err
	}
	committed()
	return nil
}

// commit does it durably, or says that nothing was stored, or that nobody knows.
func commit(conn *sqlx.Conn, do func() error) error {
	var notReplicated atomic.Bool
	err := conn.Raw(func(dc any) error {
		pq.SetNoticeHandler(dc.(driver.Conn), func(n *pq.Error) {
			// A cancelled wait for a synchronous standby comes as a warning on a
			// commit that "succeeds" (xact.c, syncrep.c): not as durable as promised.
			if strings.Contains(n.Message, "synchronous replication") {
				notReplicated.Store(true)
			}
		})
		return nil
	})
	if err != nil {
		return classify(err)
	}
	err = do()
	if err == nil && !notReplicated.Load() {
		return nil
	}
	// Only an ERROR from the server itself means that COMMIT was refused.
	var e *pq.Error
	if errors.As(err, &e) && e.Severity == "ERROR" && e.Code.Class() != "57" {
		return classify(err)
	}
	return &store.Error{Code: store.CodeOutcomeUnknown, Message: "the commit's outcome is unknown; repeat with the same client_id to learn it", Err: err}
}

// ForUpdate implements store.Backend.
func (b *Backend) ForUpdate() string { return " FOR UPDATE" }

// classify gives the database's failures their meaning; others pass through.
// All of them mean that nothing was stored.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var known *store.Error
	if errors.As(err, &known) {
		return err
	}
	unavailable := func(message string) error {
		return &store.Error{Code: store.CodeUnavailable, Message: message, Err: err}
	}
	const down = "the database cannot be reached right now; nothing was stored, try again shortly"
	var e *pq.Error
	if errors.As(err, &e) {
		switch {
		case e.Code == "53100":
			return &store.Error{Code: store.CodeStorageFull, Message: "the server's storage is full; nothing was stored", Err: err}
		case e.Code == lockNotAvailable, e.Code == "40P01", e.Code == "40001":
			return unavailable("the conversation is held by another writer; nothing was stored, try again shortly")
		case e.Code == "57014":
			return unavailable("the database took too long; nothing was stored, try again shortly")
		case e.Code == "58030": // io_error: PostgreSQL reports a failed extension of a file this way
			return unavailable(down)
		case e.Code.Class() == "53", e.Code.Class() == "57", e.Code.Class() == "08", e.Code == "25P03", e.Code == "25006":
			return unavailable(down)
		}
		return err
	}
	var network net.Error
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return unavailable(down)
	}
	return err
}

// lockNotAvailable is the error of lock_timeout.
const lockNotAvailable = "55P03"

// deadline bounds what a background job may take.
const deadline = 5 * time.Second
