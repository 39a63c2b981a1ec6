package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"holdline/store"
)

// inboxPlans makes sure that what the inbox asks is answered by ranges of
// indexes as long as what it is about: after a week in 1,000 conversations, of
// many more there are, 20 have moved.
func (s *suite) inboxPlans(t *testing.T) {
	w := s.world(t)
	const followed, moved, length = 1000, 20, 2000
	ann, bob := w.user("ann"), w.user("bob")
	w.group(ann, "")
	first := w.closedStamp()
	groups := w.manyGroups(followed, ann, bob)
	w.crowd(2000)
	var others []store.Actor
	for i := range 10 {
		others = append(others, w.user(fmt.Sprint("other", i)))
	}
	w.manyGroups(3*followed, ann, others...)
	for _, id := range groups[:moved] {
		w.grow(id, ann, length)
	}
	since := w.closedStamp()
	w.watermarks(since)
	acks := make(map[store.ID]int64)
	for _, id := range groups[:moved] {
		acks[id] = w.say(ann, id, "after a week").Seq
	}
	w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: acks}))
	until := w.closedStamp()
	w.mu.Lock()
	for _, id := range groups[:moved] {
		delete(w.fed, id) // most of it never passed through the feed
	}
	w.mu.Unlock()
	w.exec(`ANALYZE`)

	// A place takes the logarithm of a log's length, and its end once more.
	const steps = 14
	for _, call := range []struct {
		name string
		rows int64 // read at most, of all tables
		run  func(ctx context.Context) (got int, err error)
		want int
	}{
		{"interests", followed, func(ctx context.Context) (int, error) {
			found, err := w.store.Interests(ctx, bob.UserID)
			return len(found), err
		}, followed},
		{"moved in a week", 2*followed + moved*(steps+3), func(ctx context.Context) (int, error) {
			page, err := w.store.Moved(ctx, bob.UserID, since, 0, 100)
			return len(page.Moved), err
		}, moved},
		{"moved since long ago, a page", 100 * (steps + 5), func(ctx context.Context) (int, error) {
			page, err := w.store.Moved(ctx, bob.UserID, 0, 0, 100)
			return len(page.Moved), err
		}, 100},
		{"places long ago, a page", 100*(steps+5) + moved*steps, func(ctx context.Context) (int, error) {
			page, err := w.store.Moved(ctx, bob.UserID, first, 0, 100)
			return len(page.Moved), err
		}, 100},
		{"nothing moved", 2*followed + 10, func(ctx context.Context) (int, error) {
			page, err := w.store.Moved(ctx, bob.UserID, until, 0, 100)
			return len(page.Moved), err
		}, 0},
		{"a place", steps + 3, func(ctx context.Context) (int, error) {
			at, err := w.store.PlaceAt(ctx, groups[0], since)
			return int(at), err
		}, length},
		{"places of a cursor", 3 * (steps + 5), func(ctx context.Context) (int, error) {
			low := int64((length + 1) % 128)
			places, err := w.store.Places(ctx, bob.UserID, since, []store.SlotPlace{{Slot: 1, Low: low, Bits: 7}, {Slot: 2, Low: low, Bits: 7}, {Slot: 3, Low: low, Bits: 7}})
			return len(places), err
		}, 3},
		{"what a sweep finds", moved * 10, func(ctx context.Context) (int, error) {
			changes, err := w.store.InboxChanges(ctx, since+1)
			return len(changes.Moves) + len(changes.Memberships), err
		}, moved},
		{"a sweep that finds nothing", 10, func(ctx context.Context) (int, error) {
			changes, err := w.store.InboxChanges(ctx, until+100)
			return len(changes.Moves) + len(changes.Memberships), err
		}, 0},
		{"moves of some", moved * 10, func(ctx context.Context) (int, error) {
			moves, err := w.store.MovesIn(ctx, groups[:moved], since+1)
			return len(moves), err
		}, moved},
		{"moves for somebody, of a moment", moved * 20, func(ctx context.Context) (int, error) {
			moves, err := w.store.MovesFor(ctx, bob.UserID, since+1)
			return len(moves), err
		}, moved},
		{"watermarks of a first screen", 100 * 15, func(ctx context.Context) (int, error) {
			moves, err := w.store.WatermarksIn(ctx, groups[:100])
			return len(moves), err
		}, 200},
		{"caught up", 2*followed + moved*(2*steps+6), func(ctx context.Context) (int, error) {
			return 0, w.store.NoteCaughtUp(ctx, bob.UserID, whole(since, until))
		}, 0},
	} {
		t.Run(call.name, func(t *testing.T) {
			var got int
			statements := w.statements(func(ctx context.Context) {
				var err error
				if got, err = call.run(ctx); err != nil {
					t.Fatal(err)
				}
			})
			if got != call.want {
				t.Errorf("got %d, want %d", got, call.want)
			}
			w.wantsFewRows(t, statements, call.rows)
		})
	}
	// Where everything has moved, all of it is read: the others' watermarks, and
	// what bob has read himself.
	moves, err := w.store.MovesFor(w.Context(), bob.UserID, since)
	w.must(err)
	equal(w, "moves for somebody who was away for long", len(moves), followed+moved)
}

// watermarks gives everybody one everywhere, under a stamp of its own.
func (w *world) watermarks(above int64) {
	w.Helper()
	w.must(w.backend.Backend.Write(context.Background(), func(tx *store.Tx) error {
		stamp, err := w.backend.Stamp(tx)
		if err != nil {
			return err
		}
		if stamp != above+1 {
			return fmt.Errorf("stamp %d, want %d", stamp, above+1)
		}
		for _, query := range []string{
			`INSERT INTO receipts (conversation_id, kind, user_id, seq, at, stamp) SELECT conversation_id, 'delivered', user_id, 1, 1, ? FROM memberships`,
			`INSERT INTO watermarks (user_id, conversation_id, delivered_seq, stamp) SELECT user_id, conversation_id, 1, ? FROM memberships`,
		} {
			if _, err := tx.Exec(query, stamp); err != nil {
				return err
			}
		}
		return nil
	}, func() {}))
}

// maxStatements is how many one call may take, however many conversations it is about.
const maxStatements = 8

// wantsFewRows explains the statements and makes sure that none reads a whole
// table, and all together no more than so many rows, where the database says so.
func (w *world) wantsFewRows(t *testing.T, statements []statement, rows int64) {
	t.Helper()
	if len(statements) == 0 {
		t.Error("no statement was seen")
	}
	if len(statements) > maxStatements {
		t.Errorf("%d statements", len(statements))
	}
	var read readRows
	for _, s := range statements {
		var plan Plan
		err := w.backend.Read(context.Background(), func(tx *store.Tx) (err error) {
			plan, err = w.dialect.Explain(tx, s.query, s.args)
			return err
		})
		if err != nil {
			t.Fatalf("explaining %s: %v", s.query, err)
		}
		before := len(read.whole)
		read.add(plan.Text)
		if len(read.whole) > before {
			t.Errorf("reads all of %q: %s\n%s", read.whole[before:], s.query, plan.Text)
		}
	}
	if read.rows > rows {
		t.Errorf("%d rows were read (%v), at most %d are needed", read.rows, read.tables, rows)
	}
}

// readRows is what plans say that was read.
type readRows struct {
	whole  []string // tables and indexes that are read from end to end
	rows   int64
	tables map[string]int64
}

// ofQuery are the parts of our own queries that are always read to their end,
// by name or alias; `meta` and `horizon` have a few rows.
var ofQuery = regexp.MustCompile(`^(s|search|first|wanted|step|CONSTANT ROW|\d+ CONSTANT ROWS?|horizon|meta)\b`)

func (r *readRows) add(text string) {
	if r.tables == nil {
		r.tables = make(map[string]int64)
	}
	var explained []struct {
		Plan pgNode `json:"Plan"`
	}
	if json.Unmarshal([]byte(text), &explained) == nil {
		for _, e := range explained {
			r.addNode(&e.Plan)
		}
		return
	}
	for line := range strings.Lines(text) {
		if table, scan := strings.CutPrefix(strings.TrimSpace(line), "SCAN "); scan && !ofQuery.MatchString(table) {
			r.whole = append(r.whole, table)
		}
	}
}

func (r *readRows) addNode(n *pgNode) {
	if n.Relation != "" && !ofQuery.MatchString(n.Relation) {
		read := int64((n.Rows + n.Removed + n.Recheck) * n.Loops)
		r.rows += read
		r.tables[n.Relation] += read
		if n.Type == "Seq Scan" || (n.Index != "" && n.Condition == "") {
			r.whole = append(r.whole, strings.TrimSpace(n.Relation+" "+n.Index))
		}
	}
	for i := range n.Plans {
		r.addNode(&n.Plans[i])
	}
}
