package torture

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdline/internal/harness"
	"holdline/internal/testdb"
	"holdline/internal/testdb/pgcluster"
	"holdline/internal/torture/check"
	"holdline/internal/torture/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// short is a run of a few seconds with some of everything in it.
func short(t *testing.T) Options {
	return Options{
		Program: harness.Binary(t), Nodes: 1, Hints: "off", Seed: time.Now().UnixNano() % 1_000_000,
		Duration: 4 * time.Second, Clients: 16, Rate: 40, Keep: kept(t), Progress: t.Output(),
	}
}

// kept is a folder that stays if the test fails.
func kept(t *testing.T) string {
	folder, err := os.MkdirTemp("", "holdline-torture-test-*") //nolint:usetesting // t.TempDir goes in any case
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// mustHold runs, and fails the test unless all promises held and the run was
// worth something.
func mustHold(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	t.Log(text.String())
	if !r.OK() {
		t.Error("promises were broken")
	}
	c := r.Check.Counts
	if c.Accepted < 50 || c.Events < 100 || c.Receipts == 0 || c.Reads == 0 || c.Linearized == 0 || c.Readers < 16 || c.Complete < c.Readers {
		t.Errorf("the run did little: %+v", c)
	}
	return r
}

func TestOneServerOnSQLite(t *testing.T) {
	t.Parallel()
	o := short(t)
	mustHold(t, o)

	h, err := history.Load(o.Keep)
	if err != nil {
		t.Fatal(err)
	}
	if again := check.Check(h, check.Options{}); !again.OK() {
		t.Errorf("the saved history gets another verdict: %+v", again.Violations)
	}
	// What a reader was given last is taken away from it.
	for i := range h.Readers {
		r := &h.Readers[i]
		last := -1
		for j := range r.Steps {
			if r.Steps[j].Event != nil {
				last = j
			}
		}
		if r.Form != history.InboxPoll || last < 0 {
			continue
		}
		r.Steps[last].Event = nil
		r.Steps[last].Receipt = &history.Receipt{Conversation: h.Conversations[0].ID, User: r.User}
		if broken := check.Check(h, check.Options{}); broken.Totals[check.SeenWhole] == 0 {
			t.Errorf("an event that %s lacks is not missed: %v", r.ID, broken.Totals)
		}
		return
	}
	t.Error("nobody polled an inbox")
}

func TestOneServerOnPostgres(t *testing.T) {
	t.Parallel()
	o := short(t)
	o.Postmaster = cluster(t)
	r := mustHold(t, o)
	for _, what := range r.LeftOut {
		t.Errorf("left out: %s", what)
	}
}

func TestTwoServersOnPostgres(t *testing.T) {
	t.Parallel()
	o := short(t)
	o.Database, o.Nodes = testdb.Postgres(t), 2
	mustHold(t, o)
}

// cluster is a PostgreSQL server to be stopped and killed.
func cluster(t *testing.T) *pgcluster.Cluster {
	t.Helper()
	c, err := pgcluster.New(t.Context(), pgcluster.Options{Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// A server that is not the run's own, in accounts that were handed over.
func TestAServerThatIsThere(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{})
	file := t.TempDir() + "/accounts"
	lines := "# handle, then a password or a token\n"
	for _, handle := range []string{"ann", "bob", "cleo", "dora"} {
		c := server.SignUp(handle)
		if secret := harness.Password; handle == "ann" {
			lines += handle + " " + c.Token + "\n"
		} else {
			lines += handle + " " + secret + "\n"
		}
	}
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	o := short(t)
	o.Program, o.Servers, o.Accounts, o.Duration = "", []string{server.URL}, file, 3*time.Second
	for range 2 { // the second run finds the conversations of the first
		r := mustHold(t, o)
		if len(r.LeftOut) != 2 || r.Scale.Users != 4 {
			t.Errorf("left out: %q; %d users", r.LeftOut, r.Scale.Users)
		}
	}
}

func TestARunThatIsEndedEarlyIsChecked(t *testing.T) {
	t.Parallel()
	o := short(t)
	o.Duration = time.Hour
	o.Keep = ""
	begun := make(chan struct{})
	o.Progress = writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "begin") {
			close(begun)
		}
		return t.Output().Write(p)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || !r.Interrupted || r.Folder != "" || r.Check.Counts.Complete == 0 {
		t.Errorf("%+v", r)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestOptionsThatMakeNoSense(t *testing.T) {
	there := t.TempDir() + "/there"
	if err := os.WriteFile(there, []byte("ann secret\nbob secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(o *Options){
		"two nodes on SQLite":       func(o *Options) { o.Nodes = 2 },
		"no clients":                func(o *Options) { o.Clients = 0 },
		"no messages":               func(o *Options) { o.Rate = 0 },
		"no time":                   func(o *Options) { o.Duration = 0 },
		"a file that is there":      func(o *Options) { o.Database = "sqlite:" + there },
		"no database":               func(o *Options) { o.Database = "mysql://x" },
		"a server and a database":   func(o *Options) { o.Servers, o.Database = []string{"http://127.0.0.1:1"}, "sqlite:x" },
		"no server":                 func(o *Options) { o.Servers = []string{"localhost"} },
		"too few accounts":          func(o *Options) { o.Accounts = there },
		"accounts that are no file": func(o *Options) { o.Accounts = there + "/x" },
	} {
		o := short(t)
		change(&o)
		var usage *UsageError
		if _, err := Run(t.Context(), o); !errors.As(err, &usage) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheCommand(t *testing.T) {
	t.Parallel()
	kept := t.TempDir()
	r := harness.Run(t, "", "torture", "--duration", "1s", "--clients", "4", "--seed", "3", "--keep", kept)
	if r.Status != 0 || !strings.Contains(r.Stdout, "Seed 3") || !strings.Contains(r.Stdout, "promises held") {
		t.Errorf("status %d\n%s\n%s", r.Status, r.Stdout, r.Stderr)
	}
	if r = harness.Run(t, "", "torture", "check", kept); r.Status != 0 || !strings.Contains(r.Stdout, "promises held") {
		t.Errorf("checked again: status %d\n%s\n%s", r.Status, r.Stdout, r.Stderr)
	}
	h, err := history.Load(kept)
	if err != nil {
		t.Fatal(err)
	}
	h.Conversations[0].Log = slices.Delete(h.Conversations[0].Log, 0, 1)
	if err := h.Save(kept); err != nil {
		t.Fatal(err)
	}
	if r = harness.Run(t, "", "torture", "check", kept); r.Status != 1 || !strings.Contains(r.Stdout, "BROKEN gapless") {
		t.Errorf("a log without a beginning: status %d\n%s\n%s", r.Status, r.Stdout, r.Stderr)
	}
	if r = harness.Run(t, "", "torture", "--nodes", "2"); r.Status != 2 || !strings.Contains(r.Stderr, "PostgreSQL") {
		t.Errorf("two nodes on SQLite: status %d\n%s", r.Status, r.Stderr)
	}
}
