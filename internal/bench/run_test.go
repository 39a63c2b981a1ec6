package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// small is everything at once in a few seconds: whether the figures are good is
// not asked here.
func small(t *testing.T, database string) Options {
	return Options{
		Program:  harness.Plain(t), // what measures is in this process
		Database: database,
		Only:     Measures,

		Rounds:   1,
		Duration: time.Second, // in which a loaded machine answers something
		Users:    3,

		Connections:   4,
		Conversations: 5,
		TextBytes:     64,

		ReceiveRate:          20,
		ReceiveConversations: 4,

		FanoutReaders:  10,
		FanoutMessages: 5,

		IdleReaders: 20,
		IdleHold:    time.Millisecond,

		InboxConversations: 6,
		InboxRate:          20,
		InboxMoving:        4,
		Away:               400 * time.Millisecond,
		CatchUpMoved:       []int{2, 6},

		ReturnReaders: 60,

		InboxIdleReaders:       20,
		InboxIdleConversations: 3,

		AckRate:    100,
		AckReaders: 5,
	}
}

func TestEverythingIsMeasured(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) != 0 {
			t.Errorf("the scratch database was left behind: %v", left)
		}
	})
	for name, database := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(dir, "scratch.db"),
		"postgres": testdb.Postgres(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // mostly waiting
			o := small(t, database)
			o.Progress = t.Output()
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Database.Kind != name || r.Database.Version == "" || len(r.Database.Durability) < 4 {
				t.Errorf("database: %+v", r.Database)
			}
			for _, s := range r.Database.Durability {
				if s.Name == "synchronous" && s.Value != "FULL" || s.Name == "fsync" && s.Value != "on" {
					t.Errorf("%s is %s", s.Name, s.Value)
				}
			}
			if len(r.Send.Rounds) != 1 || r.Send.PerSecond <= 0 || r.Send.Ratio <= 0 || r.Send.Stored == 0 {
				t.Errorf("send: %+v", r.Send)
			}
			if d := r.Receive.Rounds[0].Delivery; d.Count != 20 {
				t.Errorf("receive: %d of 20 messages", d.Count)
			}
			if r.Fanout.Ratio <= 0 || r.Fanout.FrameBytes < 100 {
				t.Errorf("fanout: %+v", r.Fanout)
			}
			if r.Idle.BeforeKiB <= 0 || r.Idle.ConnectedKiB <= 0 {
				t.Errorf("idle: %+v", r.Idle)
			}
			if d := r.Inbox.Rounds[0]; d.Inbox.Delivery.Count != 20 || d.Plain.Delivery.Count != 20 {
				t.Errorf("inbox: %d and %d of 20 messages", d.Inbox.Delivery.Count, d.Plain.Delivery.Count)
			}
			if r.Inbox.CursorMedian < 10 || r.Inbox.CursorMax > 128 || r.Inbox.CursorMax < r.Inbox.CursorMedian {
				t.Errorf("cursors of %d and at most %d characters", r.Inbox.CursorMedian, r.Inbox.CursorMax)
			}
			for i, run := range r.CatchUp.Runs {
				if run.Moved != []int{2, 6}[i] || run.Requests != 1 || run.Counts.Statements < 2 || run.Counts.Reads < 1 || run.ColdAll < run.ColdFirst || run.Ratio <= 0 {
					t.Errorf("catchup: %+v", run)
				}
			}
			if d := r.Return.Rounds[0]; d.Inbox.Count != 60 || d.Plain.Count != 60 || r.Return.Last < r.Return.P99 || r.Return.Ratio <= 0 {
				t.Errorf("return: %+v", r.Return)
			}
			if i := r.InboxIdle; i.Plain.ConnectedKiB <= 0 || i.Streams.ConnectedKiB <= 0 || i.Polls.ConnectedKiB <= 0 {
				t.Errorf("inboxidle: %+v", i)
			}
			if a := r.Acks.Rounds[0]; a.Latency.Count == 0 || a.PerSecond <= 0 || a.Writes <= 0 || a.Rows < a.Writes || a.Transactions <= 0 {
				t.Errorf("acks: %+v", a)
			}
			if h := r.Horizon; h.Rounds[0].PerSecond <= 0 || h.Batch <= 0 || h.With <= 0 || h.Share >= 1 {
				t.Errorf("horizon: %+v", h)
			}
			if len(r.Bars) != 8 {
				t.Errorf("%d bars: %+v", len(r.Bars), r.Bars)
			}
		})
	}
}

func TestADatabaseThatExistsIsNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holdline.db")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), small(t, "sqlite:"+path))
	if err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}
