package e2e

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// incompressible is a text of n characters that no database makes smaller.
func incompressible(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)[:n]
}

// refusedAsFull reports whether a send was refused because the disk is full.
func refusedAsFull(t *testing.T, a harness.Answer) bool {
	t.Helper()
	if a.Status != http.StatusInsufficientStorage {
		return false
	}
	if p := a.Problem(); p.Code != "storage_full" || p.Detail == "" {
		t.Errorf("507 without its code: %s", a.Body)
	}
	return true
}

// A SQLite file that may not grow on: 507, everything accepted stays readable,
// nothing is half-written, and with more room it goes on.
func TestSQLiteFull(t *testing.T) {
	database := "sqlite:" + testdb.SQLite(t)
	s := harness.Start(t, harness.Config{Database: database, NoRace: true, Args: []string{"--sqlite-max-size=2MiB"}})
	ann, bob := s.SignUp("ann"), s.SignUp("bob")
	conversation := ann.Direct("bob")
	var accepted []harness.Event
	full := ""
	text := map[string]string{}
	for n := 0; full == ""; n++ {
		if n > 1000 {
			t.Fatal("it is never full")
		}
		id := fmt.Sprint(n)
		text[id] = incompressible(16 << 10)
		e, a, err := ann.Send(t.Context(), conversation, id, text[id])
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Status == http.StatusCreated:
			accepted = append(accepted, e)
		case refusedAsFull(t, a):
			full = id
		default:
			t.Fatalf("status %d: %s", a.Status, a.Body)
		}
	}
	if len(accepted) < 20 {
		t.Errorf("full after %d messages", len(accepted))
	}
	checkSame(t, bob.AllEvents(conversation), accepted)
	// A small one may still fit into what is left; whatever the answer, it is the truth.
	e, a, err := ann.Send(t.Context(), conversation, "small", "small")
	if err != nil {
		t.Fatal(err)
	}
	if a.Status == http.StatusCreated {
		accepted = append(accepted, e)
	} else if !refusedAsFull(t, a) {
		t.Errorf("status %d: %s", a.Status, a.Body)
	}

	s.Terminate()
	if status := s.Wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	roomy := harness.Start(t, harness.Config{Database: database, NoRace: true})
	ann = ann.At(roomy)
	accepted = append(accepted, ann.MustSend(conversation, full, text[full]))
	checkSame(t, bob.At(roomy).AllEvents(conversation), accepted)
}

// checkSame sees that the messages of a log are exactly those accepted.
func checkSame(t *testing.T, log, accepted []harness.Event) {
	t.Helper()
	var messages []harness.Event
	for i, e := range log {
		if e.Seq != int64(i)+1 {
			t.Fatalf("event %d of the log has seq %d", i+1, e.Seq)
		}
		if e.Type == "message" {
			messages = append(messages, e)
		}
	}
	if len(messages) != len(accepted) {
		t.Fatalf("%d messages in the log, %d accepted", len(messages), len(accepted))
	}
	for i, m := range messages {
		if m.Seq != accepted[i].Seq || m.Text != accepted[i].Text || !m.AcceptedAt.Equal(accepted[i].AcceptedAt) {
			t.Errorf("the log has %+v, accepted was %+v", m, accepted[i])
		}
	}
}

// PostgreSQL cannot extend a file (error 53100). Long texts live in a file of
// their own (TOAST), which is put onto /dev/full here: so long messages are
// refused with 507, together with what shares their batch, and short ones are stored.
func TestPostgresFull(t *testing.T) {
	server := testdb.Cluster(t)
	url := server.URL("postgres")
	if r := harness.Run(t, "", "migrate", "--database", url); r.Status != 0 {
		t.Fatalf("%+v", r)
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	onDevFull(t, server, db)

	s := harness.Start(t, harness.Config{Database: url})
	ann, bob := s.SignUp("ann"), s.SignUp("bob")
	conversation := ann.Group("bob")
	senders := startSenders(t.Context(), ann, conversation, 8)
	long := map[string]string{}
	for n := range 10 {
		id := fmt.Sprintf("long %d", n)
		long[id] = incompressible(12 << 10)
		_, a, err := bob.Send(t.Context(), conversation, id, long[id])
		if err != nil || !refusedAsFull(t, a) {
			t.Errorf("a long message: status %d, %v: %s", a.Status, err, a.Body)
		}
	}
	senders.waitFor(t, 100)
	senders.stop(t)
	delete(senders.problems, "storage_full")
	if len(senders.problems) > 0 {
		t.Errorf("short messages suffered otherwise: %v", senders.problems)
	}
	senders.repeat(t, ann, conversation)
	checkLog(t, bob.AllEvents(conversation), senders.accepted)
	if got := status(t, s.Client(), "/readyz"); got != http.StatusOK {
		t.Errorf("readyz: %d", got)
	}

	// The operator makes room; the server, which was never restarted, goes on.
	if _, err := db.Exec("VACUUM FULL events"); err != nil {
		t.Fatal(err)
	}
	for id, text := range long {
		if e := bob.MustSend(conversation, id, text); e.Text != text {
			t.Errorf("%s came back different", id)
		}
	}
	if got, want := len(bob.AllEvents(conversation)), 1+len(senders.accepted)+len(long); got != want {
		t.Errorf("%d events in the log instead of %d", got, want)
	}
}

// onDevFull replaces the file of the events' long texts, empty as yet, by
// /dev/full, to which every write fails with ENOSPC.
func onDevFull(t *testing.T, server *testdb.Postmaster, db *sql.DB) {
	t.Helper()
	var folder, file string
	const query = `SELECT current_setting('data_directory'), pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'events'`
	if err := db.QueryRowContext(context.Background(), query).Scan(&folder, &file); err != nil {
		t.Fatal(err)
	}
	// A restart first, so that no process has the file open or is about to sync it.
	server.Stop()
	path := filepath.Join(folder, file)
	if info, err := os.Stat(path); err != nil || info.Size() != 0 || strings.TrimSpace(file) == "" {
		t.Fatalf("%s is not an empty file (%v)", path, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	server.Start()
}
