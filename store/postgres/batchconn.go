package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/jmoiron/sqlx"

	"holdline/store"
)

// The statements of a batch. Each is a statement of its own because under READ
// COMMITTED a statement keeps the snapshot from before its lock waits: what is
// checked must be read after the locks are held (design: "Group commit").
const (
	lockHeads = `SELECT conversation_id, last_seq, last_accepted_at FROM conversations
		WHERE conversation_id = ANY($1) ORDER BY conversation_id FOR UPDATE`

	// LATERAL with LIMIT keeps each look-up an index probe: an EXISTS may become
	// a hash over a whole table.
	checkSends = `SELECT i.n, session.ok IS NOT NULL, member.ok IS NOT NULL,
			e.seq, e.text, e.target_seq, e.accepted_at, e.stamp,
			(SELECT pg_try_advisory_xact_lock_shared($6))
		FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) AS i (n, c, u, s, k)
		LEFT JOIN LATERAL (SELECT TRUE AS ok FROM sessions s JOIN users u ON u.user_id = s.user_id
			WHERE s.user_id = i.u AND s.session_id = i.s AND ` + store.LiveSession + ` LIMIT 1) session ON TRUE
		LEFT JOIN LATERAL (SELECT TRUE AS ok FROM memberships
			WHERE user_id = i.u AND conversation_id = i.c AND to_seq = 0 LIMIT 1) member ON TRUE
		LEFT JOIN LATERAL (SELECT seq, text, target_seq, accepted_at, stamp FROM events
			WHERE conversation_id = i.c AND sender_id = i.u AND client_id = i.k LIMIT 1) e ON TRUE`

	// The stamp is right only if h is still the one whose lock is held, read in
	// this later statement; else nothing is inserted and h comes back.
	insertEvents = `WITH horizon_now AS (SELECT h FROM horizon WHERE id = 1),
		inserted AS (
			INSERT INTO events (conversation_id, seq, type, sender_id, client_id, text, target_seq, accepted_at, stamp)
			SELECT i.c, i.seq, 'message', i.u, i.k, i.t, i.r, i.at, $1
			FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[]) AS i (c, seq, u, k, t, r, at)
			WHERE (SELECT h FROM horizon_now) = $1),
		moved AS (
			UPDATE conversations SET last_seq = i.seq, last_accepted_at = i.at, last_stamp = $1
			FROM unnest($9::bigint[], $10::bigint[], $11::bigint[]) AS i (c, seq, at)
			WHERE conversation_id = i.c AND (SELECT h FROM horizon_now) = $1)
		SELECT h FROM horizon_now`

	tryHorizon = `SELECT pg_try_advisory_xact_lock_shared($1)`
	readH      = `SELECT h FROM horizon WHERE id = 1`
)

// lanePlans: the lane's statements are index probes for each element of an
// array, however many rows the tables hold. Planning them anew for each batch
// costs more than running them, and a plan made while the tables were small
// must still be right when they are not.
const lanePlans = `SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off;
	SET enable_hashjoin = off; SET enable_mergejoin = off`

// batchConn is the connection of one lane with its prepared statements.
type batchConn struct {
	*sqlx.Conn
	lock, lockSkip, check, insert, try, readH *sql.Stmt
	call                                      driver.Stmt // the lane's batch in one exchange; nil where that cannot be had
}

func (b *Backend) prepareBatchConn(ctx context.Context, pool *sqlx.DB) (*batchConn, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	conn, err := pool.Connx(ctx)
	if err != nil {
		return nil, err
	}
	c := &batchConn{Conn: conn}
	if _, err := conn.ExecContext(ctx, lanePlans); err != nil {
		c.close()
		return nil, err
	}
	for _, p := range []struct {
		into  **sql.Stmt
		query string
	}{
		{&c.lock, lockHeads}, {&c.lockSkip, lockHeads + ` SKIP LOCKED`},
		{&c.check, checkSends}, {&c.insert, insertEvents}, {&c.try, tryHorizon}, {&c.readH, readH},
	} {
		if *p.into, err = conn.PrepareContext(ctx, p.query); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// prepareLane is prepareBatchConn for the lane, which also makes the call.
func (b *Backend) prepareLane(ctx context.Context) (*batchConn, error) {
	c, err := b.prepareBatchConn(ctx, b.batches)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var h int64
	if err := errors.Join(c.prepareCall(ctx), c.readH.QueryRowContext(ctx).Scan(&h)); err != nil {
		c.close()
		return nil, err
	}
	b.horizon.Store(h)
	return c, nil
}

// close closes the connection itself, and its statements with it: what it holds
// is of no use to another batchConn, and it may be in the middle of an exchange.
// Raw gives a connection up whose function calls it bad.
func (c *batchConn) close() {
	_ = c.Raw(func(any) error { return driver.ErrBadConn })
}

// rawTx is a transaction that database/sql does not know of: a sql.Tx keeps its
// connection locked, and a statement prepared on the same sql.Conn which finds
// the connection broken waits for that very lock, for ever.
type rawTx struct {
	conn *sqlx.Conn
	tx   driver.Tx // nil once ended
}

func (c *batchConn) begin() (*rawTx, error) {
	t := &rawTx{conn: c.Conn}
	err := c.Raw(func(dc any) (err error) {
		t.tx, err = dc.(driver.ConnBeginTx).BeginTx(context.Background(), driver.TxOptions{})
		return err
	})
	return t, err
}

// Commit commits, and checks that the server did.
func (t *rawTx) Commit() error { return t.end(driver.Tx.Commit) }

// Rollback takes everything back, unless the transaction has ended already.
func (t *rawTx) Rollback() error { return t.end(driver.Tx.Rollback) }

func (t *rawTx) end(how func(driver.Tx) error) error {
	tx := t.tx
	if tx == nil {
		return nil
	}
	t.tx = nil
	return t.conn.Raw(func(any) error { return how(tx) })
}
