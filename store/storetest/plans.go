package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdline/store"
)

const (
	// someEvents is how long the log is in which Run asks for pages.
	someEvents = 20_000
	// millionEvents is how long it is for RunLong.
	millionEvents = 1_000_000
)

func (s *suite) plans(t *testing.T) { s.pages(t, someEvents) }

// pages makes sure that a page anywhere in a log of n events is a range of an
// index: the very statements that the calls run are explained.
func (s *suite) pages(t *testing.T, n int64) {
	w := s.world(t)
	ann, bob := w.user("ann"), w.user("bob")
	group := w.group(ann, "", "bob")
	for range 70 { // other conversations, so that the index has something to leave out, and more than surely fit a page
		w.say(ann, w.group(ann, "", "bob"), "short")
	}
	w.grow(group, bob, n)
	w.must(w.store.Ack(w.Context(), ann, store.Acks{Read: map[store.ID]int64{group: n - 5000}}))
	w.exec(`ANALYZE`)

	const limit = 100
	middle := n / 2
	for _, call := range []struct {
		name string
		rows int64 // of events, read at most
		run  func(ctx context.Context) (got int, err error)
		want int
	}{
		{"events in the middle", 2 * limit, func(ctx context.Context) (int, error) {
			events, _, err := w.store.Events(ctx, group, middle, 1<<40, limit)
			return len(events), err
		}, limit},
		{"events at the end", 2 * limit, func(ctx context.Context) (int, error) {
			events, _, err := w.store.Events(ctx, group, n-limit+1, 1<<40, limit)
			return len(events), err
		}, limit},
		{"events before the middle", 2 * limit, func(ctx context.Context) (int, error) {
			page, err := w.store.EventsBefore(ctx, ann.UserID, group, middle, limit)
			return len(page.Events), err
		}, limit},
		{"events before the end", 2 * limit, func(ctx context.Context) (int, error) {
			page, err := w.store.EventsBefore(ctx, ann.UserID, group, 0, limit)
			return len(page.Events), err
		}, limit},
		{"messages before the middle", 2 * limit, func(ctx context.Context) (int, error) {
			page, err := w.store.Messages(ctx, ann.UserID, group, middle, 0, limit)
			return len(page.Messages), err
		}, limit},
		{"messages after the middle", 2 * limit, func(ctx context.Context) (int, error) {
			page, err := w.store.Messages(ctx, ann.UserID, group, 0, middle, limit)
			return len(page.Messages), err
		}, limit},
		{"one message", 10, func(ctx context.Context) (int, error) {
			_, err := w.store.Message(ctx, ann.UserID, group, middle)
			return 1, err
		}, 1},
		{"receipts of a message", 50, func(ctx context.Context) (int, error) {
			r, err := w.store.Receipts(ctx, ann.UserID, group, middle)
			return len(r.Members), err
		}, 1},
		{"head", 10, func(ctx context.Context) (int, error) {
			last, err := w.store.LastSeq(ctx, group)
			return int(last), err
		}, int(n)},
		{"conversation with 5,000 unread", 6000, func(ctx context.Context) (int, error) {
			c, err := w.store.Conversation(ctx, ann.UserID, group)
			return int(c.Unread), err
		}, 5000},
		{"conversation with more unread than are counted", store.MaxUnread + 100, func(ctx context.Context) (int, error) {
			w.exec(`DELETE FROM receipts`)
			w.exec(`DELETE FROM watermarks`)
			c, err := w.store.Conversation(ctx, ann.UserID, group)
			return int(c.Unread), err
		}, store.MaxUnread},
		{"conversations", store.MaxUnread + 2000, func(ctx context.Context) (int, error) {
			list, _, err := w.store.Conversations(ctx, ann.UserID, 0, limit)
			return len(list), err
		}, 71},
		{"what changed since the last sweep", 100, func(ctx context.Context) (int, error) {
			since := w.number(`SELECT MAX(stamp) FROM events`)
			changes, err := w.store.Changes(ctx, since)
			return len(changes.Heads), err
		}, 0},
	} {
		t.Run(call.name, func(t *testing.T) {
			var got int
			statements := w.statements(func(ctx context.Context) {
				start := time.Now()
				var err error
				if got, err = call.run(ctx); err != nil {
					t.Fatal(err)
				}
				t.Logf("%d rows in %v", got, time.Since(start).Round(10*time.Microsecond))
			})
			if got != call.want {
				t.Errorf("got %d, want %d", got, call.want)
			}
			w.wantsRanges(t, statements, call.rows)
		})
	}
}

// wantsRanges explains the statements and makes sure that they read by ranges of
// an index, no more than so many events, and sort no page.
func (w *world) wantsRanges(t *testing.T, statements []statement, rows int64) {
	t.Helper()
	if len(statements) == 0 {
		t.Error("no statement was seen")
	}
	var total int64
	for _, s := range statements {
		var plan Plan
		err := w.backend.Read(context.Background(), func(tx *store.Tx) (err error) {
			plan, err = w.dialect.Explain(tx, s.query, s.args)
			return err
		})
		if err != nil {
			t.Fatalf("explaining %s: %v", s.query, err)
		}
		total += max(plan.Rows, 0)
		if len(plan.Scans) > 0 || (plan.Sorts && strings.Contains(s.query, "ORDER BY seq")) {
			t.Errorf("scans %q, sorts: %v\n%s\n%s", plan.Scans, plan.Sorts, s.query, plan.Text)
		}
	}
	if total > rows {
		t.Errorf("%d rows were read, at most %d are needed", total, rows)
	}
}

// grow appends messages by a few statements until the conversation has n events.
func (w *world) grow(group store.ID, sender store.Actor, n int64) {
	w.Helper()
	w.must(w.backend.Backend.Write(context.Background(), func(tx *store.Tx) error {
		row := struct {
			Last int64        `db:"last_seq"`
			At   store.Millis `db:"last_accepted_at"`
		}{}
		err := tx.Get(&row, `SELECT last_seq, last_accepted_at FROM conversations WHERE conversation_id = ?`+w.backend.ForUpdate(), group)
		if err != nil {
			return err
		}
		stamp, err := w.backend.Stamp(tx)
		if err != nil {
			return err
		}
		const step = 50_000 // a statement has its timeout
		for from := row.Last + 1; from <= n; from += step {
			if _, err := tx.Exec(fmt.Sprintf(`INSERT INTO events (conversation_id, seq, type, sender_id, client_id, text, accepted_at, stamp)
				WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
				SELECT %d, i, 'message', %d, CAST(i + 10000000 AS TEXT), 'a message of some length, as people write them', %d, %d FROM n`,
				from, min(from+step-1, n), group, sender.UserID, row.At, stamp)); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`UPDATE conversations SET last_seq = ?, last_stamp = ? WHERE conversation_id = ?`, n, stamp, group)
		return err
	}, func() {}))
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.fed, group) // these never pass through the feed
}
