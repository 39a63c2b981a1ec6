package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"holdline/store"
)

// lingering is a backend whose writers hold their transaction open once they
// have their stamp, until the horizon has moved past it: what is stamped must
// keep its horizon open until it is visible.
type lingering struct {
	store.Backend
	held *sync.Map // stamps that the horizon moved past while their writer was open
}

func (lingering) Close() error { return nil }

func (l lingering) Stamp(tx *store.Tx) (int64, error) {
	stamp, err := l.Backend.Stamp(tx)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		h, _, err := l.Horizon(context.Background())
		if err != nil {
			return 0, err
		}
		if h > stamp {
			l.held.Store(stamp, true)
			break
		}
		<-tick.C
	}
	return stamp, nil
}

// stampedRow is a row whose stamp tells when it changed last.
type stampedRow struct {
	ConversationID store.ID `db:"conversation_id"`
	UserID         store.ID `db:"user_id"`
	A              int64    `db:"a"`
	B              int64    `db:"b"`
	Stamp          int64    `db:"stamp"`
}

// glance is all stamped rows, and what was closed then, from one snapshot.
type glance struct {
	closed                  int64
	memberships, watermarks map[placeOf]stampedRow
	receipts                int64 // with a stamp up to the closed one of the glance before
}

func (w *world) glance(before int64) (g glance, err error) {
	rows := func(tx *store.Tx, query string) (map[placeOf]stampedRow, error) {
		var all []stampedRow
		if err := tx.Select(&all, query); err != nil {
			return nil, err
		}
		byPlace := make(map[placeOf]stampedRow, len(all))
		for _, r := range all {
			byPlace[placeOf{r.UserID, r.ConversationID}] = r
		}
		return byPlace, nil
	}
	err = w.backend.Backend.Read(context.Background(), func(tx *store.Tx) (err error) {
		if err := tx.Get(&g.closed, `SELECT closed FROM horizon WHERE id = 1`); err != nil {
			return err
		}
		if g.memberships, err = rows(tx, `SELECT conversation_id, user_id, from_seq AS a, to_seq AS b, stamp FROM memberships`); err != nil {
			return err
		}
		if g.watermarks, err = rows(tx, `SELECT conversation_id, user_id, delivered_seq AS a, read_seq AS b, stamp FROM watermarks
			WHERE delivered_seq > 0`); err != nil { // a row is made, with nothing in it, before it is locked
			return err
		}
		return tx.Get(&g.receipts, `SELECT COUNT(*) FROM receipts WHERE stamp <= ?`, before)
	})
	return g, err
}

// inboxRaces lets many send, acknowledge, join and leave on several nodes while
// the horizon closes behind them. Whoever looks from time to time must find
// whatever has changed above what was closed when they last looked.
func (s *suite) inboxRaces(t *testing.T) {
	w := s.world(t)
	owner := w.user("owner")
	const people, rounds = 8, 16
	var handles []string
	var actors []store.Actor
	for i := range people {
		handles = append(handles, fmt.Sprint("user", i))
		actors = append(actors, w.user(handles[i]))
	}
	groups := []store.ID{
		w.group(owner, store.HistoryJoined, handles...), w.group(owner, store.HistoryAll, handles[:4]...), w.group(owner, store.HistoryJoined),
	}
	var held sync.Map
	nodes := make([]*store.Store, 4)
	for i := range nodes {
		backend := store.Backend(shared{w.backend})
		if s.dialect.ConcurrentWrites {
			backend = lingering{w.backend, &held}
		}
		node, err := store.New(w.Context(), backend, store.Options{HorizonInterval: 5 * time.Millisecond, Feed: w.feed})
		w.must(err)
		nodes[i] = node
	}

	var writers, watcher sync.WaitGroup
	stop := make(chan struct{})
	watcher.Go(func() { w.watch(t, stop) })
	for i := range people {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 11))
			for range rounds {
				// A user's moves are gathered for a second by each node.
				node, group := nodes[random.IntN(len(nodes))], groups[random.IntN(len(groups))]
				var err error
				switch random.IntN(8) {
				case 0, 1:
					_, err = node.AddMembers(w.Context(), owner, group, []string{handles[random.IntN(people)], handles[i]})
				case 2:
					_, err = node.RemoveMember(w.Context(), owner, group, actors[random.IntN(people)].UserID)
				case 3:
					var last int64
					if last, err = node.LastSeq(w.Context(), group); err == nil {
						err = node.Ack(w.Context(), actors[i], store.Acks{Read: map[store.ID]int64{group: 1 + random.Int64N(last)}})
					}
				case 4:
					node.NoteDelivered(actors[i].UserID, group, 1)
				default:
					// The backend's connections for sends are one node's.
					_, _, err = w.store.Append(w.Context(), store.Send{Actor: owner, ConversationID: group, ClientID: store.NewID().String(), Text: "x"})
				}
				if code := store.CodeOf(err); code != "" && code != store.CodeNotFound {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	for _, node := range nodes {
		w.must(node.Close()) // it stores what waits
	}
	w.closed()
	close(stop)
	watcher.Wait()
	if s.dialect.ConcurrentWrites {
		count := 0
		held.Range(func(any, any) bool { count++; return true })
		if count < 5 {
			t.Errorf("the horizon moved past %d open writers: nothing was tried", count)
		}
	}
}

// watch looks again and again until it is stopped, and then once more.
func (w *world) watch(t *testing.T, stop <-chan struct{}) {
	last, err := w.glance(0)
	if err != nil {
		t.Error(err)
		return
	}
	var changes, steps int
	receipts := last.receipts
	for done := false; !done; {
		select {
		case <-stop:
			done = true
		default:
		}
		now, err := w.glance(last.closed)
		if err != nil {
			t.Error(err)
			return
		}
		changes += compareRows(t, "membership", last.memberships, now.memberships, last.closed)
		changes += compareRows(t, "watermark", last.watermarks, now.watermarks, last.closed)
		// How many receipts there are up to what was closed is settled.
		again, err := w.read(`SELECT COUNT(*) FROM receipts WHERE stamp <= ?`, last.closed)
		if err != nil || again != now.receipts {
			t.Errorf("%d receipts up to %d, then %d (%v)", now.receipts, last.closed, again, err)
		}
		if now.closed > last.closed {
			steps++
		}
		if now.closed < last.closed || now.receipts < receipts {
			t.Errorf("closed %d follows %d", now.closed, last.closed)
		}
		last, receipts = now, now.receipts
	}
	if changes < 30 || steps < 5 {
		t.Errorf("only %d changes in %d steps of the horizon were seen", changes, steps)
	}
}

// compareRows makes sure that what is new or has changed is stamped above what
// was closed before, and that stamps never fall.
func compareRows(t *testing.T, what string, before, now map[placeOf]stampedRow, closed int64) (changes int) {
	for place, row := range now {
		old, known := before[place]
		if row == old {
			continue
		}
		changes++
		if row.Stamp <= closed || (known && row.Stamp < old.Stamp) {
			t.Errorf("%s %+v came after %+v, when %d was closed", what, row, old, closed)
		}
	}
	for place, old := range before {
		if _, still := now[place]; !still {
			t.Errorf("%s %+v is gone", what, old)
		}
	}
	return changes
}
