package torture

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lib/pq"
)

// Postmaster is a PostgreSQL server that a run may stop and kill.
// *pgcluster.Cluster is one.
type Postmaster interface {
	// Immediate stops it as a crash would, Stop in order; Start starts it again
	// at the same address.
	Immediate(ctx context.Context) error
	Stop(ctx context.Context) error
	Start(ctx context.Context) error
	// URL names a database on it.
	URL(database string) string
}

// databaseTimeout bounds each step of making, cutting and removing a database.
const databaseTimeout = 60 * time.Second

// scratch is a database made for one run.
type scratch struct {
	url        string // as serve takes it
	name       string // without a password
	postmaster Postmaster
	sessions   func(ctx context.Context) error // cuts all connections; nil if that is not possible
	drop       func() error
}

// newScratch makes the database that o asks for. folder is the run's own.
func newScratch(ctx context.Context, o *Options, folder string) (*scratch, error) {
	if o.Postmaster != nil {
		s, err := scratchPostgres(ctx, o.Postmaster.URL("postgres"))
		if s != nil {
			s.postmaster = o.Postmaster
		}
		return s, err
	}
	path, isFile := strings.CutPrefix(o.Database, "sqlite:")
	switch {
	case o.Database == "":
		path = filepath.Join(folder, "holdline.db")
	case isFile:
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(usagef("%s exists already; the run fills a database of its own and removes it, name a new file", path), err)
		}
	case strings.HasPrefix(o.Database, "postgres://"), strings.HasPrefix(o.Database, "postgresql://"):
		return scratchPostgres(ctx, o.Database)
	default:
		return nil, usagef("%q is neither sqlite:PATH nor postgres://…", o.Database)
	}
	return &scratch{url: "sqlite:" + path, name: "sqlite:" + path, drop: func() error { return removeFiles(path) }}, nil
}

// removeFiles removes a SQLite file and what belongs to it.
func removeFiles(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", ".lock", "-lock", "-journal"} {
		if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// scratchPostgres creates a database of a name of its own on a server.
func scratchPostgres(ctx context.Context, server string) (*scratch, error) {
	u, err := url.Parse(server)
	if err != nil {
		// The error would quote the address, and with it a password.
		return nil, usagef("the postgres:// address is not a valid URL")
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "holdline_torture_" + hex.EncodeToString(b[:])
	if err := execute(ctx, server, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return nil, fmt.Errorf("making a database on that server (its user needs CREATEDB): %w", err)
	}
	u.Path = "/" + name
	return &scratch{
		url: u.String(), name: u.Redacted(),
		sessions: func(ctx context.Context) error {
			return execute(ctx, server, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '"+name+"'")
		},
		drop: func() error {
			// It goes on when the run was interrupted.
			return execute(context.Background(), server, "DROP DATABASE "+name+" WITH (FORCE)")
		},
	}, nil
}

// execute runs one statement that must stand outside a transaction.
func execute(ctx context.Context, server, statement string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	c, err := pq.NewConnector(server)
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, statement)
	return err
}
