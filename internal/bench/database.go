package bench

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

	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/sqlite"
)

// Database says what the figures were measured on.
type Database struct {
	Kind    string `json:"kind"` // sqlite or postgres
	Version string `json:"version"`
	// Where is how it is reached: a file, a unix socket, or a host.
	Where string `json:"where"`
	Disk  *Disk  `json:"disk,omitempty"` // of a SQLite file
	// Durability holds the settings that decide whether a commit survives a
	// crash, read on a connection made and set up as the server makes its own.
	Durability []Setting `json:"durability"`
}

// Setting is one database setting as read back.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// scratch is a database made for one run.
type scratch struct {
	url      string // as `serve` takes it
	name     string // the same without a password
	open     func(ctx context.Context) (store.Backend, error)
	describe func(ctx context.Context, b store.Backend) (Database, error)
	drop     func() error
}

// dropTimeout bounds removing the scratch database, which goes on when the run
// was interrupted.
const dropTimeout = 30 * time.Second

// newScratch makes the database that is named, see Options.Database.
func newScratch(ctx context.Context, database string) (*scratch, error) {
	path, isFile := strings.CutPrefix(database, "sqlite:")
	switch {
	case database == "":
		dir, err := os.MkdirTemp("", "holdline-bench-*")
		if err != nil {
			return nil, err
		}
		return scratchFile(filepath.Join(dir, "holdline.db"), func() error { return os.RemoveAll(dir) }), nil
	case isFile:
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("--database: %s exists already; the bench fills a database of its own and removes it, name a new file", path), err)
		}
		return scratchFile(path, func() error { return removeFiles(path) }), nil
	case strings.HasPrefix(database, "postgres://"), strings.HasPrefix(database, "postgresql://"):
		return scratchPostgres(ctx, database)
	}
	return nil, fmt.Errorf("--database: %q is neither sqlite:PATH nor postgres://…", database)
}

// isFile reports whether it is a SQLite file.
func (s *scratch) isFile() bool { return strings.HasPrefix(s.url, "sqlite:") }

// with runs fn on the database as the server opens it, without a server.
func (s *scratch) with(ctx context.Context, fn func(b store.Backend) error) (err error) {
	b, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return fn(b)
}

// removeFiles removes a SQLite file and what belongs to it.
func removeFiles(path string) error {
	files, err := filepath.Glob(path + "*")
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

func scratchFile(path string, drop func() error) *scratch {
	return &scratch{
		url:  "sqlite:" + path,
		name: "sqlite:" + path,
		drop: drop,
		open: func(ctx context.Context) (store.Backend, error) { return sqlite.Open(ctx, sqlite.Options{Path: path}) },
		describe: func(ctx context.Context, b store.Backend) (Database, error) {
			d := Database{Kind: "sqlite", Where: path}
			disk, err := describeDisk(filepath.Dir(path))
			if err != nil {
				return d, err
			}
			d.Disk = &disk
			err = b.Write(ctx, func(tx *store.Tx) error {
				if err := tx.Get(&d.Version, "SELECT sqlite_version()"); err != nil {
					return err
				}
				for _, name := range []string{"journal_mode", "synchronous", "secure_delete", "page_size"} {
					var value string
					if err := tx.Get(&value, "PRAGMA "+name); err != nil {
						return err
					}
					if name == "synchronous" {
						value = synchronousNames[value]
					}
					d.Durability = append(d.Durability, Setting{name, value})
				}
				return nil
			}, func() {})
			return d, err
		},
	}
}

// synchronousNames are the values of PRAGMA synchronous.
var synchronousNames = map[string]string{"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}

// scratchPostgres creates a database of a name of its own on the server.
func scratchPostgres(ctx context.Context, server string) (*scratch, error) {
	u, err := url.Parse(server)
	if err != nil {
		// The error would quote the address, and with it a password.
		return nil, errors.New("--database: the postgres:// address is not a valid URL")
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "holdline_bench_" + hex.EncodeToString(b[:])
	if err := execute(ctx, server, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return nil, fmt.Errorf("--database: making a scratch database on that server (its user needs CREATEDB): %w", err)
	}
	u.Path = "/" + name
	return &scratch{
		url:  u.String(),
		name: u.Redacted(),
		drop: func() error {
			ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
			defer cancel()
			if err := execute(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
				return fmt.Errorf("removing the scratch database %s: %w", name, err)
			}
			return nil
		},
		open: func(ctx context.Context) (store.Backend, error) {
			return postgres.Open(ctx, postgres.Options{URL: u.String()})
		},
		describe: describePostgres,
	}, nil
}

// execute runs one statement that must stand outside a transaction.
func execute(ctx context.Context, server, statement string) (err error) {
	c, err := pq.NewConnector(server)
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, statement)
	return err
}

func describePostgres(ctx context.Context, b store.Backend) (Database, error) {
	d := Database{Kind: "postgres"}
	err := b.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Get(&d.Version, "SELECT current_setting('server_version')"); err != nil {
			return err
		}
		if err := tx.Get(&d.Where, "SELECT coalesce(host(inet_server_addr()), 'unix socket')"); err != nil {
			return err
		}
		for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "synchronous_standby_names",
			"commit_delay", "shared_buffers", "max_wal_size"} {
			var value string
			if err := tx.Get(&value, "SELECT current_setting(?)", name); err != nil {
				return err
			}
			if value != "" {
				d.Durability = append(d.Durability, Setting{name, value})
			}
		}
		return nil
	}, func() {})
	return d, err
}
