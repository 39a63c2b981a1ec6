package testdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver that makes the databases

	"holdline/internal/testdb/pgcluster"
)

// Env names the variable that holds the URL of a server to use.
const Env = "HOLDLINE_TEST_POSTGRES"

// setUp bounds making a cluster or a database; installing a server may be part of it.
const setUp = 5 * time.Minute

// SQLite returns a path for a database file in a folder of the test's own.
func SQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "holdline.db")
}

// Each runs a test on both databases, given as `holdline serve --database` takes them.
func Each(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite:"+SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// Postgres returns the URL of a fresh, empty database, dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "holdline_test_" + hex.EncodeToString(b[:])
	if err := server.execute("CREATE DATABASE " + name + " TEMPLATE template0"); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := server.execute("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	database := server.url
	database.Path = "/" + name
	return database.String()
}

// Postmaster is a PostgreSQL server of the test's own, for tests that stop and
// restart it.
type Postmaster struct {
	t testing.TB
	c *pgcluster.Cluster
}

// Cluster starts a server for this test alone, and removes it when the test ends.
func Cluster(t testing.TB) *Postmaster {
	t.Helper()
	return ClusterWith(t, pgcluster.Options{})
}

// ClusterWith is Cluster with settings.
func ClusterWith(t testing.TB, o pgcluster.Options) *Postmaster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setUp)
	defer cancel()
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	c, err := pgcluster.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := c.Log(); err == nil {
				t.Logf("the server's log:\n%s", log)
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	return &Postmaster{t: t, c: c}
}

// Immediate stops the server as a crash would, and returns when it is gone.
func (p *Postmaster) Immediate() { p.t.Helper(); p.run(p.c.Immediate) }

// Stop shuts the server down in order, cutting every connection.
func (p *Postmaster) Stop() { p.t.Helper(); p.run(p.c.Stop) }

// Start starts it again, at the same port and socket.
func (p *Postmaster) Start() { p.t.Helper(); p.run(p.c.Start) }

func (p *Postmaster) run(step func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setUp)
	defer cancel()
	if err := step(ctx); err != nil {
		p.t.Fatal(err)
	}
}

// URL names a database of this server over TCP; "postgres" exists from the start.
func (p *Postmaster) URL(database string) string { return p.c.URL(database) }

// SocketURL names a database of this server over its unix socket.
func (p *Postmaster) SocketURL(database string) string { return p.c.SocketURL(database) }

// Socket is the path of the unix socket.
func (p *Postmaster) Socket() string { return p.c.Socket() }

// Pid is the server's process id.
func (p *Postmaster) Pid() int {
	p.t.Helper()
	pid, err := p.c.Pid()
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// sharedServer is the server that this process's tests share. It holds the
// cluster because, were that collected, its pipe would close and the watchdog
// would take the server away.
type sharedServer struct {
	url     url.URL
	cluster *pgcluster.Cluster // nil when the server was given
}

// shared returns the server, making it at the first call.
var shared = sync.OnceValues(func() (*sharedServer, error) {
	s := &sharedServer{}
	given := os.Getenv(Env)
	if given == "" {
		ctx, cancel := context.WithTimeout(context.Background(), setUp)
		defer cancel()
		var err error
		if s.cluster, err = pgcluster.New(ctx, pgcluster.Options{Progress: os.Stderr}); err != nil {
			return nil, err
		}
		given = s.cluster.URL("postgres")
	}
	server, err := url.Parse(given)
	if err != nil || !strings.HasPrefix(server.Scheme, "postgres") {
		return nil, fmt.Errorf("%s is not a postgres:// URL", Env)
	}
	s.url = *server
	return s, s.checkVersion()
})

func (s *sharedServer) checkVersion() error {
	db, err := sql.Open("postgres", s.url.String())
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
		return fmt.Errorf("%s: %w", Env, err)
	}
	if version < pgcluster.MinVersion {
		return fmt.Errorf("%s: PostgreSQL %d or later is needed, this is %d", Env, pgcluster.MinVersion, version)
	}
	return nil
}

// execute runs one statement on a connection of its own: a pool kept open would
// hold goroutines that a leak check finds.
func (s *sharedServer) execute(statement string) error {
	db, err := sql.Open("postgres", s.url.String())
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}
