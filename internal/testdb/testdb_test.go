package testdb_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdline/internal/testdb"
)

// childEnv makes this test binary start a server and wait to be killed.
const childEnv = "HOLDLINE_TESTDB_CHILD"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func query(t *testing.T, db *sql.DB, q string) string {
	t.Helper()
	var s string
	if err := db.QueryRow(q).Scan(&s); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return s
}

func TestEachDatabaseIsFreshAndDurable(t *testing.T) {
	a, b := open(t, testdb.Postgres(t)), open(t, testdb.Postgres(t))
	if _, err := a.Exec("CREATE TABLE one (n int)"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Exec("CREATE TABLE one (n int)"); err != nil {
		t.Fatalf("the second database is not the first one's: %v", err)
	}
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if got := query(t, a, "SELECT current_setting('"+setting+"')"); got != "on" {
			t.Errorf("%s is %s", setting, got)
		}
	}
	if got := query(t, a, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"); got != "UTF8" {
		t.Errorf("encoding %s", got)
	}
}

func TestClusterComesBackAfterACrash(t *testing.T) {
	server := testdb.Cluster(t)
	db := open(t, server.SocketURL("postgres"))
	if _, err := db.Exec("CREATE TABLE kept AS SELECT 'kept' AS word"); err != nil {
		t.Fatal(err)
	}
	url := server.URL("postgres")
	server.Immediate()
	if err := db.Ping(); err == nil {
		t.Fatal("it answers although it was stopped")
	}
	server.Start()
	if got := server.URL("postgres"); got != url {
		t.Fatalf("the URL changed from %s to %s", url, got)
	}
	if got := query(t, open(t, url), "SELECT word FROM kept"); got != "kept" {
		t.Fatalf("got %q", got)
	}
}

// The server may run as another user than the one who starts it.
func TestAStrictUmaskIsNoHindrance(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	if got := query(t, open(t, testdb.Cluster(t).URL("postgres")), "SELECT 'served'"); got != "served" {
		t.Errorf("got %q", got)
	}
}

func TestAKilledProcessLeavesNoServer(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		server := testdb.Cluster(t)
		fmt.Fprintln(os.Stdout, filepath.Dir(server.Socket()))
		select {} // until killed
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAKilledProcessLeavesNoServer$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir := line[:len(line)-1]
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child was to be killed")
	}
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s is still there", dir)
		case <-tick.C:
		}
	}
}
