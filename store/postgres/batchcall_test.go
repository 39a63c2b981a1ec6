package postgres_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"holdline/internal/testdb"
	"holdline/store"
	"holdline/store/postgres"
)

// asPlainRole makes a role that may use the tables and nothing else, and
// returns the database's URL for it. The server must be the test's own.
func (w *world) asPlainRole() string {
	w.t.Helper()
	for _, statement := range []string{
		`REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC`,
		`CREATE ROLE plain LOGIN PASSWORD 'plain'`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain`,
	} {
		if _, err := w.raw.Exec(statement); err != nil {
			w.t.Fatal(err)
		}
	}
	u, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	u.User = url.UserPassword("plain", "plain")
	return u.String()
}

// batches is what two ways of storing a batch must do alike.
var batches = [][]struct{ by, client, text, code string }{
	{{"alice", "1", `quo"ted \\ {text}, NULL`, ""}, {"bob", "1", "", "" /* empty: the API refuses it, the store takes it */}, {"alice", "2", "line\nend", ""}},
	{{"alice", "3", "three", ""}},
	{{"alice", "3", "three", "duplicate"}, {"bob", "3", "bob's three", ""}},
	{{"alice", "4", "four", ""}, {"alice", "4", "four", "duplicate"}, {"alice", "4", "another", string(store.CodeClientIDReused)}},
	{{"carol", "1", "no member", string(store.CodeNotFound)}, {"bob", "5", "beside it", ""}},
	{{"nobody", "1", "no session", string(store.CodeUnauthorized)}, {"bob", "6", "beside it", ""}},
	{{"alice", "7", "", ""}, {"bob", "7", "NULL", ""}},
}

// A batch in one call and a batch step by step, which is how it goes where the
// role may not make functions, store and answer the same.
func TestBatchInOneCallAndStepByStep(t *testing.T) {
	var logs [2][]string
	for i, name := range []string{"in one call", "step by step"} {
		t.Run(name, func(t *testing.T) {
			w := newWorldAt(t, testdb.Cluster(t).URL("postgres"))
			actors := map[string]store.Actor{"alice": w.alice, "bob": w.bob, "carol": w.user("carol"), "nobody": {UserID: w.bob.UserID, SessionID: 1}}
			address := w.url
			if i == 1 {
				address = w.asPlainRole()
			}
			b, err := postgres.Open(t.Context(), postgres.Options{URL: address})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			for n, batch := range batches {
				items := make([]*store.Append, len(batch))
				for j, send := range batch {
					items[j] = &store.Append{Send: w.send(actors[send.by], send.client, send.text)}
				}
				var fed []store.Event
				if err := b.AppendBatch(items, false, func(events []store.Event) { fed = slices.Clone(events) }); err != nil {
					t.Fatalf("batch %d: %v", n, err)
				}
				for j, send := range batch {
					code := string(store.CodeOf(items[j].Err))
					if items[j].Duplicate {
						code = "duplicate"
					}
					if items[j].Err == nil && !items[j].Duplicate {
						code = ""
						if len(fed) == 0 || fed[0] != items[j].Event || fed[0].Text != send.text {
							t.Fatalf("batch %d: answered %+v, fed %+v", n, items[j].Event, fed)
						}
						fed = fed[1:]
					}
					if code != send.code {
						t.Errorf("batch %d, item %d: %q (%v), want %q", n, j, code, items[j].Err, send.code)
					}
				}
			}
			for _, e := range w.log() {
				logs[i] = append(logs[i], fmt.Sprintf("%d %s %s %q", e.Seq, e.Type, e.ClientID, e.Text))
			}
		})
	}
	if !slices.Equal(logs[0], logs[1]) || len(logs[0]) != 11 {
		t.Errorf("the logs differ:\n%q\n%q", logs[0], logs[1])
	}
}
