package sqlite_test

import (
	"fmt"
	"testing"

	"holdline/store"
	"holdline/store/sqlite"
)

// repeat sends again what was sent, and wants what was stored.
func (w *world) repeat(s *store.Store, client string, want store.Event) {
	w.t.Helper()
	e, duplicate, err := s.Append(w.t.Context(), w.send(client, want.Text))
	if err != nil || !duplicate || e != want {
		w.t.Fatalf("client_id %s again: %+v, duplicate %t, %v; want %+v", client, e, duplicate, err, want)
	}
	if _, _, err := s.Append(w.t.Context(), w.send(client, want.Text+"!")); store.CodeOf(err) != store.CodeClientIDReused {
		w.t.Fatalf("client_id %s with another text: %v, want %s", client, err, store.CodeClientIDReused)
	}
}

// sendMany stores n messages at once and returns them by client id.
func (w *world) sendMany(prefix string, n int) map[string]store.Event {
	w.t.Helper()
	sent := make(map[string]store.Event, n)
	items := make([]*store.Append, n)
	for i := range items {
		items[i] = &store.Append{Send: w.send(fmt.Sprintf("%s-%d", prefix, i), fmt.Sprintf("text %d", i))}
	}
	if err := w.back.AppendBatch(items, false, func([]store.Event) {}); err != nil {
		w.t.Fatal(err)
	}
	for _, item := range items {
		if item.Err != nil || item.Duplicate {
			w.t.Fatalf("%s: duplicate %t, %v", item.Send.ClientID, item.Duplicate, item.Err)
		}
		sent[item.Send.ClientID] = item.Event
	}
	return sent
}

// folded is how many events the table client_ids covers and holds.
func (w *world) folded() (end, rows int64) {
	w.t.Helper()
	if err := w.back.Read(w.t.Context(), func(tx *store.Tx) error {
		if err := tx.Get(&end, `SELECT event_id FROM client_ids_end`); err != nil {
			return err
		}
		return tx.Get(&rows, `SELECT COUNT(*) FROM client_ids`)
	}); err != nil {
		w.t.Fatal(err)
	}
	return end, rows
}

// A client_id is found wherever it is: in the table, at the end of events that
// is not there yet, and in what another process stored meanwhile, before and
// after that process brought the table forward; also after a restart.
func TestRepeatsAreFoundBeforeAndAfterTheFold(t *testing.T) {
	w := newWorld(t, sqlite.Options{})
	back, other := w.start(sqlite.Options{Path: w.path})
	repeatAll := func(sent map[string]store.Event) {
		t.Helper()
		_, restarted := w.start(sqlite.Options{Path: w.path})
		for _, client := range []string{"first-0", "first-1499", "second-0", "second-1499", "elsewhere-0", "elsewhere-2999"} {
			if want, ok := sent[client]; ok {
				for _, s := range []*store.Store{w.node, other, restarted} {
					w.repeat(s, client, want)
				}
			}
		}
		w.check()
	}
	sent := w.sendMany("first", 1500)
	if end, rows := w.folded(); end != 0 || rows != 0 {
		t.Fatalf("after 1500 sends the table covers %d events and holds %d rows", end, rows)
	}
	repeatAll(sent)
	for client, e := range w.sendMany("second", 1500) {
		sent[client] = e
	}
	if end, rows := w.folded(); end < 3000 || rows != 3000 {
		t.Fatalf("after 3000 sends the table covers %d events and holds %d rows", end, rows)
	}
	repeatAll(sent)
	here := w.back
	w.back = back // the second process sends, and folds
	for client, e := range w.sendMany("elsewhere", 3000) {
		sent[client] = e
	}
	w.back = here
	if _, rows := w.folded(); rows != 6000 {
		t.Fatalf("after 6000 sends the table holds %d rows", rows)
	}
	repeatAll(sent)
}

// What a failed batch numbered was not stored: its client ids are free.
func TestClientIDsOfAFailedBatchAreForgotten(t *testing.T) {
	w := newWorld(t, sqlite.Options{MaxPages: 120})
	var items []*store.Append
	for i := range 100 {
		items = append(items, &store.Append{Send: w.send(fmt.Sprint("big-", i), fmt.Sprintf("%d %016000d", i, i))})
	}
	if err := w.back.AppendBatch(items, false, func([]store.Event) { t.Error("committed") }); store.CodeOf(err) != store.CodeStorageFull {
		t.Fatalf("a batch larger than the file may be: %v", err)
	}
	e, duplicate, err := w.node.Append(t.Context(), w.send("big-0", "0"))
	if err != nil || duplicate || e.Seq != 2 {
		t.Fatalf("the first send of the failed batch, as another text: %+v, duplicate %t, %v", e, duplicate, err)
	}
	w.repeat(w.node, "big-0", e)
	w.check()
}
