package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"holdline/internal/planted"
	"holdline/migrations"
	"holdline/store"
)

// Options say which database to open and how.
type Options struct {
	URL string // postgres://… or a libpq keyword string
	// AllowUnsafeDurability accepts a server with fsync or synchronous_commit
	// off, where a crash can lose messages that were acknowledged.
	AllowUnsafeDurability bool
	Logger                *slog.Logger
	// Clock replaces time.Now for the times of what is sent, for tests.
	Clock func() time.Time
}

// Timeouts of every connection. A transaction that stands still holds rows
// that others need, so the server ends it soon.
const (
	lockTimeout      = time.Second
	statementTimeout = 10 * time.Second
	idleTimeout      = 3 * time.Second // idle in transaction
	connectTimeout   = 5 * time.Second
	silenceTimeout   = 15 * time.Second // of the server, in the middle of an exchange
)

// Connections of one node, by use.
const (
	batchConnections = 1
	sideConnections  = 4 // sends that wait for a row held by another node
	writeConnections = 8 // structural changes, receipts, the horizon
	readConnections  = 16
)

// Backend is an open PostgreSQL database. It implements store.Backend.
type Backend struct {
	options  Options
	log      *slog.Logger
	identity atomic.Pointer[string] // set by the newest connection

	batches *sqlx.DB
	sides   *sqlx.DB
	writes  *sqlx.DB
	reads   *sqlx.DB

	lane  sync.Mutex // one batch at a time
	batch *batchConn // nil until needed, and after it broke
	// idleSides are connections of sides, prepared and unused (cap sideConnections).
	idleSides chan *batchConn
	horizon   atomic.Int64 // the last h seen: a guess that saves a round trip, never trusted
}

var _ store.Backend = (*Backend)(nil)

// Open connects and checks the server's version and durability. Call Migrate
// before using it.
func Open(ctx context.Context, o Options) (*Backend, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	inner, err := pq.NewConnector(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the PostgreSQL address cannot be read: %w", err)
	}
	inner.Dialer(dialer{silence: silenceTimeout})
	b := &Backend{options: o, log: o.Logger, idleSides: make(chan *batchConn, sideConnections)}
	c := &connector{inner: inner, backend: b}
	pool := func(n int) *sqlx.DB {
		db := sqlx.NewDb(sql.OpenDB(c), "postgres")
		db.SetMaxOpenConns(n)
		db.SetMaxIdleConns(n)
		db.SetConnMaxIdleTime(5 * time.Minute)
		return db
	}
	b.batches, b.sides = pool(batchConnections), pool(sideConnections)
	b.writes, b.reads = pool(writeConnections), pool(readConnections)
	if err := b.reads.PingContext(ctx); err != nil {
		_ = b.Close()
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	return b, nil
}

// connector opens connections that are set up and checked.
type connector struct {
	inner   driver.Connector
	backend *Backend
}

func (c *connector) Driver() driver.Driver { return c.inner.Driver() }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := c.inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.backend.prepareConnection(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

const minVersion = 150000

func (b *Backend) prepareConnection(ctx context.Context, conn driver.Conn) error {
	setup := fmt.Sprintf(`SET lock_timeout = %d; SET statement_timeout = %d; SET idle_in_transaction_session_timeout = %d;
		SET default_transaction_isolation = 'read committed'; SET client_encoding = 'UTF8'; SET jit = off`,
		lockTimeout.Milliseconds(), statementTimeout.Milliseconds(), idleTimeout.Milliseconds())
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, setup, nil); err != nil {
		return err
	}
	var version int64
	var fsync, synchronousCommit, identity string
	if err := queryRow(ctx, conn, `SELECT current_setting('server_version_num')::bigint, current_setting('fsync'),
			current_setting('synchronous_commit'),
			(SELECT system_identifier FROM pg_control_system())::text || CASE
				WHEN current_setting('synchronous_standby_names') <> '' OR pg_is_in_recovery() THEN ''
				ELSE '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END`,
		&version, &fsync, &synchronousCommit, &identity); err != nil {
		return err
	}
	if version < minVersion {
		return fmt.Errorf("PostgreSQL 15 or later is needed, the server is version %d", version/10000)
	}
	if !b.options.AllowUnsafeDurability && (fsync != "on" || synchronousCommit == "off") {
		return fmt.Errorf("the server could lose acknowledged messages in a crash (fsync=%s, synchronous_commit=%s): "+
			"turn both on, or start with --allow-unsafe-durability", fsync, synchronousCommit)
	}
	b.identity.Store(&identity)
	if planted.On(planted.CommitNotDurable) {
		_, err := conn.(driver.ExecerContext).ExecContext(ctx, `SET synchronous_commit = off`, nil)
		return err
	}
	return nil
}

func queryRow(ctx context.Context, conn driver.Conn, query string, into ...any) error {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	values := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(values); err != nil {
		return err
	}
	for i, v := range values {
		switch dest := into[i].(type) {
		case *int64:
			n, ok := v.(int64)
			if !ok {
				return fmt.Errorf("column %d is %T, not an integer", i, v)
			}
			*dest = n
		case *string:
			switch s := v.(type) {
			case string:
				*dest = s
			case []byte:
				*dest = string(s)
			default:
				return fmt.Errorf("column %d is %T, not text", i, v)
			}
		}
	}
	return nil
}

// Migrate brings the schema up to date; nodes that start together take turns.
func (b *Backend) Migrate(ctx context.Context) error {
	// Of its own: a migration may take longer than a transaction of the server's.
	connector, err := pq.NewConnector(b.options.URL)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	turn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = turn.Close() }()
	if _, err := turn.ExecContext(ctx, `SELECT pg_advisory_lock(hashtext('holdline migrations'))`); err != nil {
		return err
	}
	if err := migrations.Postgres(ctx, db); err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// Close closes all connections.
func (b *Backend) Close() error {
	b.lane.Lock()
	defer b.lane.Unlock()
	b.dropBatchConn()
	for idle := true; idle; {
		select {
		case c := <-b.idleSides:
			c.close()
		default:
			idle = false
		}
	}
	return errors.Join(b.batches.Close(), b.sides.Close(), b.writes.Close(), b.reads.Close())
}

// Ping implements store.Backend: a transaction that may write can begin.
func (b *Backend) Ping(ctx context.Context) error {
	var readOnly bool
	err := b.writes.GetContext(ctx, &readOnly, `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean`)
	if err == nil && readOnly {
		return &store.Error{Code: store.CodeUnavailable, Message: "the database is read-only"}
	}
	return classify(err)
}

// Identity implements store.Backend: the cluster's system identifier, and its
// timeline unless synchronous standbys make a fail-over lossless.
func (b *Backend) Identity(ctx context.Context) (string, error) {
	if err := b.reads.PingContext(ctx); err != nil {
		return "", classify(err)
	}
	return *b.identity.Load(), nil
}
