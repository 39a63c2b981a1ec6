package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"

	"holdline/migrations"
	"holdline/store"
)

// Options say which file to open and how.
type Options struct {
	Path string // created if missing; its folder must exist
	// MaxPages bounds the file in pages of 4 KiB; 0: no bound but the disk's.
	// Past it sends are refused with store.CodeStorageFull.
	MaxPages int64
	Logger   *slog.Logger
	// Clock replaces time.Now for the times of what is sent, for tests.
	Clock func() time.Time
}

const (
	pageSize    = 4096
	busyTimeout = 5 * time.Second // for a second process (the command line) beside the server
)

// Backend is an open SQLite file. It implements store.Backend.
type Backend struct {
	path    string
	log     *slog.Logger
	clock   func() time.Time
	readers *sqlx.DB
	writers *sqlx.DB   // one connection
	writer  *sqlx.Conn // that connection
	turn    chan struct{}
	batch   *batchStatements

	clientIDs clientIDs

	checkpoints *sqlx.DB
	turns       atomic.Int64 // writes so far, or tries
	stop        context.CancelFunc
	background  sync.WaitGroup
}

var _ store.Backend = (*Backend)(nil)

// Open opens the file, creating it if missing. Call Migrate before using it.
func Open(ctx context.Context, o Options) (*Backend, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("the folder of the database file %s does not exist; create it first", path)
	}
	common := pragmas{
		{"synchronous", "2"}, // FULL
		{"busy_timeout", fmt.Sprint(busyTimeout.Milliseconds())},
		{"secure_delete", "1"},
		{"temp_store", "2"}, // memory
		{"cache_size", "-16384"},
	}
	writer := append(pragmas{{"page_size", fmt.Sprint(pageSize)}, {"journal_mode", "wal"}, {"wal_autocheckpoint", "0"}}, common...)
	if o.MaxPages > 0 {
		writer = append(writer, pragma{"max_page_count", fmt.Sprint(o.MaxPages)})
	}
	b := &Backend{path: path, log: o.Logger, clock: o.Clock, turn: make(chan struct{}, 1)}
	b.writers = open(path, url.Values{"_txlock": {"immediate"}}, writer, 1)
	if b.writer, err = b.writers.Connx(ctx); err != nil {
		_ = b.writers.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	b.readers = open(path, nil, append(pragmas{{"query_only", "1"}}, common...), max(4, 2*runtime.GOMAXPROCS(0)))
	b.checkpoints = open(path, nil, pragmas{{"busy_timeout", "0"}, {"secure_delete", "1"}, {"synchronous", "2"}}, 1)
	running, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.background.Go(func() { b.keepCheckpoints(running) })
	return b, nil
}

type pragma struct{ name, value string }

type pragmas []pragma

func open(path string, parameters url.Values, set pragmas, connections int) *sqlx.DB {
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: parameters.Encode()}
	db := sqlx.NewDb(sql.OpenDB(&connector{dsn: dsn.String(), set: set}), "sqlite")
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// connector opens connections with pragmas that are read back.
type connector struct {
	dsn string
	set pragmas
}

func (c *connector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := sqlite.NewConnector(c.dsn)
	if err != nil {
		return nil, err
	}
	conn, err := inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range c.set {
		if err := setPragma(ctx, conn, p); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

func setPragma(ctx context.Context, conn driver.Conn, p pragma) error {
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, "PRAGMA "+p.name+"="+p.value, nil); err != nil {
		return fmt.Errorf("setting PRAGMA %s: %w", p.name, err)
	}
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "PRAGMA "+p.name, nil)
	if err != nil {
		return fmt.Errorf("reading PRAGMA %s back: %w", p.name, err)
	}
	defer func() { _ = rows.Close() }()
	got := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(got); err != nil {
		return fmt.Errorf("reading PRAGMA %s back: %w", p.name, err)
	}
	if value := fmt.Sprint(got[0]); !strings.EqualFold(value, p.value) {
		return fmt.Errorf("PRAGMA %s is %s after setting it to %s", p.name, value, p.value)
	}
	return nil
}

// Migrate brings the schema up to date.
func (b *Backend) Migrate(ctx context.Context) error {
	// goose wants a pool of its own: the writer's one connection is held.
	db := open(b.path, url.Values{"_txlock": {"immediate"}}, pragmas{{"busy_timeout", "5000"}, {"synchronous", "2"}}, 1)
	defer func() { _ = db.Close() }()
	if err := migrations.SQLite(ctx, db.DB); err != nil {
		return fmt.Errorf("migrating %s: %w", b.path, err)
	}
	return nil
}

// Close moves the WAL into the file and closes it.
func (b *Backend) Close() error {
	b.stop()
	b.background.Wait()
	b.turn <- struct{}{} // no write after this
	b.batch.close()
	errs := []error{b.readers.Close()}
	b.emptyWAL()
	return errors.Join(append(errs, b.checkpoints.Close(), b.writer.Close(), b.writers.Close())...)
}

// Ping implements store.Backend: the file can be read and its write lock had.
func (b *Backend) Ping(ctx context.Context) error {
	return b.Write(ctx, func(*store.Tx) error { return nil }, func() {})
}

// Identity implements store.Backend: a file is always itself.
func (b *Backend) Identity(context.Context) (string, error) { return "sqlite", nil }

// ForUpdate implements store.Backend: a write transaction excludes all others.
func (b *Backend) ForUpdate() string { return "" }
