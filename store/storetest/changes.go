package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"holdline/store"
)

func (s *suite) changes(t *testing.T) {
	t.Run("a sweep finds what has changed since", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		first, second := w.group(ann, "", "bob"), w.group(ann, "")
		w.say(ann, first, "x")
		w.closed()
		start, err := w.store.Changes(w.Context(), -1)
		w.must(err)
		equal(w, "heads when asked for none", len(start.Heads), 0)
		equal(w, "epoch", start.Epoch, w.store.Epoch())
		nothing, err := w.store.Changes(w.Context(), start.Closed)
		w.must(err)
		equal(w, "heads when nothing happened", len(nothing.Heads), 0)

		w.say(ann, second, "y")
		w.remove(ann, first, bob.UserID)
		w.must(w.store.EndSession(w.Context(), bob.UserID, bob.SessionID))
		changes, err := w.store.Changes(w.Context(), start.Closed)
		w.must(err)
		slices.SortFunc(changes.Heads, func(a, b store.Head) int { return int(a.LastSeq - b.LastSeq) })
		equalSlices(w, "heads", changes.Heads, []store.Head{{ConversationID: second, LastSeq: 2}, {ConversationID: first, LastSeq: 3}})
		equal(w, "revocations", len(changes.Revocations), 1)
		equal(w, "revoked", changes.Revocations[0].SessionID, bob.SessionID)

		w.closed()
		later, err := w.store.Changes(w.Context(), changes.Closed)
		w.must(err)
		done, err := w.store.Changes(w.Context(), later.Closed)
		w.must(err)
		equal(w, "heads once all is closed", len(done.Heads), 0)
		equal(w, "revocations once all is closed", len(done.Revocations), 0)
	})

	// A reader that goes from closed to closed gets everything once, though
	// many write at the same time.
	t.Run("nothing appears behind a closed horizon", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		var groups []store.ID
		for range 8 {
			groups = append(groups, w.group(ann, ""))
		}
		stop := make(chan struct{})
		var reader sync.WaitGroup
		seen := make(map[store.ID]int64)
		reader.Go(func() {
			closed := int64(0)
			for done := false; !done; {
				select {
				case <-stop:
					done = true // once more, for what came last
				default:
				}
				_, now, err := w.backend.Horizon(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				for _, id := range groups {
					n, err := w.read(`SELECT COUNT(*) FROM events WHERE conversation_id = ? AND stamp > ? AND stamp <= ?`, id, closed, now)
					if err != nil {
						t.Error(err)
						return
					}
					seen[id] += n
				}
				closed = now
			}
		})
		together(16, func(i int) {
			for range 20 {
				_, _, err := w.store.Append(w.Context(), store.Send{Actor: ann, ConversationID: groups[i%8], ClientID: store.NewID().String(), Text: "x"})
				if err != nil {
					t.Error(err)
				}
			}
		})
		w.closed()
		close(stop)
		reader.Wait()
		for _, id := range groups {
			equal(w, "events seen", seen[id], 41)
		}
	})

	// A writer that has its stamp and is slow to commit keeps its horizon open,
	// and nobody else waiting.
	t.Run("a commit held open keeps the horizon open", func(t *testing.T) {
		if !s.dialect.ConcurrentWrites {
			return // there a stamp is closed by its own commit, one after the other
		}
		w := s.world(t)
		ann := w.user("ann")
		group := w.group(ann, "")
		w.closed()
		stamped, release := make(chan int64), make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() {
			err := w.backend.Backend.Write(context.Background(), func(tx *store.Tx) error {
				stamp, err := w.backend.Stamp(tx)
				if err != nil {
					return err
				}
				stamped <- stamp
				<-release
				_, err = tx.Exec(`INSERT INTO revocations (user_id, session_id, stamp) VALUES (?, 0, ?)`, ann.UserID, stamp)
				return err
			}, func() {})
			if err != nil {
				t.Error(err)
			}
		})
		held := <-stamped
		for range 5 {
			w.say(ann, group, "not held up")
		}
		w.eventually("the horizon has moved on", func() bool {
			h, _, err := w.backend.Horizon(context.Background())
			w.must(err)
			return h > held
		})
		_, closed, err := w.backend.Horizon(context.Background())
		w.must(err)
		if closed >= held {
			t.Errorf("horizon %d is closed while a writer with stamp %d is open", closed, held)
		}
		close(release)
		writer.Wait()
		w.closed()
		found, err := w.store.Changes(w.Context(), held-1)
		w.must(err)
		equal(w, "revocations", len(found.Revocations), 1)
	})
}

// closed waits until the newest stamp is closed.
func (w *world) closed() {
	w.Helper()
	newest := w.number(`SELECT COALESCE(MAX(stamp), 0) FROM (SELECT MAX(stamp) AS stamp FROM events
		UNION ALL SELECT MAX(stamp) FROM revocations UNION ALL SELECT MAX(stamp) FROM receipts) AS stamps`)
	w.eventually("the newest stamp is closed", func() bool {
		_, closed, err := w.backend.Horizon(context.Background())
		w.must(err)
		return closed >= newest
	})
}
