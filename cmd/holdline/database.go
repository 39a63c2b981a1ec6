package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/sqlite"
)

// sqlitePageBytes is the size of a page of a database file.
const sqlitePageBytes = 4096

// databaseFlags are what every command that opens the database takes.
type databaseFlags struct {
	Database              string   `setting:"" group:"database" default:"sqlite:holdline.db" help:"sqlite:PATH, a file that is made if missing, or postgres://USER:PASSWORD@HOST/NAME, PostgreSQL 15 or later (?host=/run/postgresql for a unix socket)."`
	SQLiteMaxSize         byteSize `name:"sqlite-max-size" setting:"" group:"database" default:"0" min:"1MiB" max:"16384GiB" orzero:"" help:"How large the SQLite file may grow before sends are refused with 507; 0 for as large as the disk lets it."`
	AllowUnsafeDurability bool     `setting:"" group:"database" help:"Run on a PostgreSQL server with fsync or synchronous_commit off, where a crash can lose messages that were accepted. Refused without this."`

	clock   func() time.Time                  // nil for the machine's; holdline torture has one of its own
	observe func(store.Backend) store.Backend // what stands between the server and its database; nil for nothing
}

// backend is a database that can be brought up to date and stored in.
type backend interface {
	store.Backend
	Migrate(ctx context.Context) error
}

// sqlitePath returns the file's path, and whether the database is a SQLite file.
func (f *databaseFlags) sqlitePath() (path string, ok bool) {
	return strings.CutPrefix(f.Database, "sqlite:")
}

// Validate refuses what is neither kind of database before anything is opened.
func (f *databaseFlags) Validate() error {
	if path, ok := f.sqlitePath(); ok {
		if path == "" || path == ":memory:" {
			return errors.New("--database: name a file, for example sqlite:holdline.db")
		}
		return nil
	}
	scheme, _, _ := strings.Cut(f.Database, ":")
	if scheme != "postgres" && scheme != "postgresql" {
		return errors.New("--database: write sqlite:PATH or postgres://…")
	}
	if _, err := url.Parse(f.Database); err != nil {
		// The error would quote the address, and with it a password.
		return errors.New("--database: the postgres:// address is not a valid URL; characters like @ / : # in a password are written %40 %2F %3A %23")
	}
	return nil
}

// open opens the database and brings its schema up to date. mustExist refuses
// to make a SQLite file that is not there.
func (f *databaseFlags) open(ctx context.Context, log *slog.Logger, mustExist bool) (backend, error) {
	b, err := f.connect(ctx, log, mustExist)
	if err != nil {
		return nil, err
	}
	if err := b.Migrate(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (f *databaseFlags) connect(ctx context.Context, log *slog.Logger, mustExist bool) (backend, error) {
	path, isSQLite := f.sqlitePath()
	if !isSQLite {
		return postgres.Open(ctx, postgres.Options{
			URL: f.Database, AllowUnsafeDurability: f.AllowUnsafeDurability, Logger: log, Clock: f.clock,
		})
	}
	if mustExist {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database file %s; name the one that the server uses with --database", path)
		}
	}
	return sqlite.Open(ctx, sqlite.Options{
		Path: path, MaxPages: int64(f.SQLiteMaxSize) / sqlitePageBytes, Logger: log, Clock: f.clock,
	})
}

// describe names the database without its password.
func (f *databaseFlags) describe() string {
	if u, err := url.Parse(f.Database); err == nil {
		return u.Redacted()
	}
	return f.Database
}
