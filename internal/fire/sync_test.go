//go:build linux

package fire

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "github.com/lib/pq"

	"holdline/internal/harness"
	"holdline/internal/testdb"
	"holdline/internal/testdb/pgcluster"
)

// tracer is the command line that runs a program under strace, with the pages
// that it writes to the WAL in full.
func tracer(t *testing.T, file string) []string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("strace is needed (Debian: apt-get install strace; .ci/install does that): %v", err)
	}
	return []string{
		strace, "-D", "-f", "-y", "-ttt", "-s", "5000", "-o", file,
		"-e", "trace=fsync,fdatasync,pwrite64,write,writev,sendto", "-e", "signal=none",
	}
}

// Between the write of a message into SQLite's WAL and its 201 there is a sync
// of the WAL that was begun after the write and has succeeded: for messages
// sent one by one, and for those that share a batch.
func TestAnsweredIsSynced(t *testing.T) {
	const alone, together, each = 25, 16, 5
	file := filepath.Join(t.TempDir(), "trace")
	server := harness.Start(t, harness.Config{NoRace: true, Under: tracer(t, file)})
	ann := bare(t, server.SignUp("ann"))
	conversation := ann.Group()
	send := func(n int) error {
		_, a, err := ann.Send(t.Context(), conversation, fmt.Sprint(n), fmt.Sprintf("fsync-marker-%d.", n))
		if err == nil && a.Status != 201 {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	}
	for n := range alone {
		if err := send(n); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for sender := range together {
		group.Go(func() {
			for n := range each {
				if err := send(1000*(sender+1) + n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	server.Terminate()
	server.Wait() // for strace too, which holds the server's output open
	trace, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	const total = alone + together*each
	found := follow(t, string(trace))
	if bad := unsynced(found); len(found) != total || len(bad) > 0 {
		t.Errorf("%d of %d messages found in the trace; answered before they were synced: %v", len(found), total, bad)
	}
	checkStore(t, openStore(t, server.Database))
	t.Logf("%d messages, %d syncs of the WAL in all", total, len(syncCall.FindAllString(string(trace), -1)))

	// The controls: the same look at the same trace, doctored.
	for name, doctor := range map[string]func([]string) []string{
		"without syncs":    withoutSyncs,
		"syncs that fail":  failingSyncs,
		"syncs afterwards": lateSyncs,
	} {
		lines := doctor(strings.Split(strings.TrimSuffix(string(trace), "\n"), "\n"))
		if bad := unsynced(follow(t, strings.Join(lines, "\n"))); len(bad) != total {
			t.Errorf("%s: the look finds fault with %d of %d messages", name, len(bad), total)
		}
	}
}

func follow(t *testing.T, trace string) map[string]*stages {
	t.Helper()
	found, err := followMessages(trace)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range found {
		if s.answered == 0 {
			t.Errorf("the trace does not show the answer to %s", name)
		}
	}
	return found
}

var (
	syncCall = regexp.MustCompile(`f(data)?sync\(\d+<[^>]*-wal>`)
	syncLine = regexp.MustCompile(`^\d+ +[0-9.]+ (f(data)?sync\(|<\.\.\. f(data)?sync resumed>)`)
)

func withoutSyncs(lines []string) (kept []string) {
	for _, line := range lines {
		if !syncLine.MatchString(line) {
			kept = append(kept, line)
		}
	}
	return kept
}

func failingSyncs(lines []string) (changed []string) {
	for _, line := range lines {
		if syncLine.MatchString(line) {
			line = strings.Replace(line, ") = 0", ") = -1 EIO (Input/output error)", 1)
		}
		changed = append(changed, line)
	}
	return changed
}

// lateSyncs puts all syncs behind everything else.
func lateSyncs(lines []string) []string {
	var late []string
	for _, line := range lines {
		if syncLine.MatchString(line) {
			late = append(late, line)
		}
	}
	return append(withoutSyncs(lines), late...)
}

// Right after a 201 PostgreSQL has flushed its log to the very end, the commit
// of the message included. The horizon, which moves in between now and then, may
// spoil a few looks; hints are off, since they are notices that need no flush and
// leave one outstanding. The control is a server that has
// been allowed to run with synchronous_commit off: the same look finds nearly
// everything unflushed. The cluster has no other writers and does not flush of
// its own accord.
func TestAnsweredIsFlushed(t *testing.T) {
	const sends = 40
	cluster := testdb.ClusterWith(t, pgcluster.Options{Settings: map[string]string{
		"autovacuum": "off", "wal_writer_delay": "10s", "bgwriter_delay": "10s",
	}})
	database := cluster.URL("postgres")
	db, err := sql.Open("postgres", database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)

	safe := harness.Start(t, harness.Config{Database: database, NoRace: true, Args: []string{"--hints=off"}})
	ann := bare(t, safe.SignUp("ann"))
	conversation := ann.Group()
	flushed := flushedAfterSends(t, db, ann, conversation, "safe", sends)
	if flushed < sends*3/4 {
		t.Errorf("the log was flushed behind %d of %d answered sends", flushed, sends)
	}
	safe.Kill()

	if _, err := db.ExecContext(t.Context(), "ALTER DATABASE postgres SET synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	unsafe := harness.Start(t, harness.Config{Database: database, NoRace: true, Args: []string{"--hints=off", "--allow-unsafe-durability"}})
	control := flushedAfterSends(t, db, bare(t, ann.At(unsafe)), conversation, "unsafe", sends)
	if control > sends/4 {
		t.Errorf("with synchronous_commit off the log was flushed behind %d of %d sends: the look sees nothing", control, sends)
	}
	t.Logf("flushed to the end behind %d of %d answers; with synchronous_commit off behind %d", flushed, sends, control)
	unsafe.Kill()
	checkStore(t, openStore(t, database+"&synchronous_commit=on"))
}

// flushedAfterSends sends one by one and counts after how many answers nothing
// of the log was unflushed.
func flushedAfterSends(t *testing.T, db *sql.DB, c *harness.Client, conversation, name string, n int) (flushed int) {
	t.Helper()
	for i := range n {
		c.MustSend(conversation, fmt.Sprintf("%s %d", name, i), "durable")
		var all bool
		if err := db.QueryRowContext(t.Context(), `SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()`).Scan(&all); err != nil {
			t.Fatal(err)
		}
		if all {
			flushed++
		}
	}
	return flushed
}
