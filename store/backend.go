package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"holdline/internal/planted"
)

// Backend is what differs between databases: transactions, locks, stamps and
// the batch. store/sqlite and store/postgres implement it; all other SQL is
// portable and lives in this package, written with ? placeholders.
//
// Errors are returned as *Error where they have a meaning (unavailable,
// outcome_unknown, storage_full), else as they came.
type Backend interface {
	// Read runs fn in one read-only snapshot, ended by ctx.
	Read(ctx context.Context, fn func(tx *Tx) error) error

	// Write runs fn in one transaction and commits it durably, then calls
	// committed before it returns. ctx bounds only the wait for a turn: once fn
	// has begun, it and the commit run to their end under the backend's own
	// timeouts. On an error nothing is stored, except under CodeOutcomeUnknown.
	Write(ctx context.Context, fn func(tx *Tx) error, committed func()) error

	// Stamp returns the horizon stamp for what tx is about to insert. It must
	// come after every lock that can wait (design: "The inbox cursor", rule 2).
	Stamp(tx *Tx) (int64, error)

	// AppendBatch commits one batch of sends in one transaction and sets each
	// item's outcome, then calls committed with the new events in order. Rows
	// held by another node are waited for (up to one second) only if wait is
	// true; else their items come back with Held set. An error means that no
	// item has been stored, except under CodeOutcomeUnknown.
	AppendBatch(items []*Append, wait bool, committed func([]Event)) error

	// Horizon returns the current stamp and the highest closed one. No event
	// with a stamp <= closed can become visible any more.
	Horizon(ctx context.Context) (h, closed int64, err error)

	// CloseHorizon moves the horizon on while an event's stamp is above closed
	// (rules 1 and 3); a backend whose stamps close at commit does nothing.
	CloseHorizon(ctx context.Context) error

	// Identity names the cluster and timeline that hold the database, as far as
	// losing acknowledged commits could change them; constant where it cannot.
	Identity(ctx context.Context) (string, error)

	// ForUpdate is the suffix that locks the rows a SELECT returns until the
	// transaction ends; empty where a write transaction excludes all others.
	ForUpdate() string

	// Ping reports whether the database answers and can be written to.
	Ping(ctx context.Context) error

	Close() error
}

// Tx is a transaction in which portable SQL runs: ? placeholders are rebound
// to the database's own.
type Tx struct {
	tx      *sqlx.Tx
	ctx     context.Context
	queries func(query string, args []any) // nil: no query log
}

// NewTx is for backends.
func NewTx(ctx context.Context, tx *sqlx.Tx) *Tx {
	queries, _ := ctx.Value(queryLogKey{}).(func(string, []any))
	return &Tx{tx: tx, ctx: ctx, queries: queries}
}

// Get scans one row into dest; sql.ErrNoRows when there is none.
func (t *Tx) Get(dest any, query string, args ...any) error {
	t.logQuery(query, args)
	return t.tx.GetContext(t.ctx, dest, t.tx.Rebind(query), args...)
}

// Select scans all rows into the slice dest points to.
func (t *Tx) Select(dest any, query string, args ...any) error {
	t.logQuery(query, args)
	return t.tx.SelectContext(t.ctx, dest, t.tx.Rebind(query), args...)
}

// Exec runs a statement and returns the number of rows it touched.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	t.logQuery(query, args)
	res, err := t.tx.ExecContext(t.ctx, t.tx.Rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Each scans every row into row and calls fn, until fn returns false or an error.
func (t *Tx) Each(row any, fn func() (bool, error), query string, args ...any) error {
	t.logQuery(query, args)
	rows, err := t.tx.QueryxContext(t.ctx, t.tx.Rebind(query), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.StructScan(row); err != nil {
			return err
		}
		if more, err := fn(); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// In expands a slice argument for `IN (?)`; the query it returns still has ? placeholders.
func (t *Tx) In(query string, args ...any) (string, []any, error) { return sqlx.In(query, args...) }

// Append is one send on its way through a batch, and its outcome.
type Append struct {
	Send      Send
	Event     Event // the stored event, when Err is nil and Held is false
	Duplicate bool  // Event was stored earlier, by the same client_id
	Held      bool  // the conversation's row is held by another node
	Err       error // why this one alone was refused
}

// CheckSender turns what a batch found about a sender, after its locks, into
// the error of the send.
func CheckSender(session, member bool) error {
	switch {
	case !session:
		return errNoSession
	case !member && !planted.On(planted.StaleMembership):
		return errNoConversation
	}
	return nil
}

var errNoSession = Errorf(CodeUnauthorized, "the session has ended; sign in again")

// NewMessage is the event of a send, numbered and stamped by its batch.
func NewMessage(send *Send, seq int64, acceptedAt Millis, stamp int64) Event {
	return Event{
		ConversationID: send.ConversationID, Seq: seq, Type: EventMessage, SenderID: send.Actor.UserID,
		ClientID: send.ClientID, Text: send.Text, TargetSeq: send.ReplyTo, AcceptedAt: acceptedAt, Stamp: stamp,
	}
}

// Repeat sets the outcome of a send whose client_id was stored before, as the
// given event: the same answer again, or CodeClientIDReused if it asks for
// something else.
func (a *Append) Repeat(stored Event) {
	if stored.Text != a.Send.Text || stored.TargetSeq != a.Send.ReplyTo {
		a.Err = &Error{Code: CodeClientIDReused, Field: "client_id", Message: "already used in this conversation for a message with another text or reply_to; use a new client_id for a new message"}
		return
	}
	a.Event, a.Duplicate = stored, true
}
