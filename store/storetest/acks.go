package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"holdline/store"
)

func (s *suite) acks(t *testing.T) {
	t.Run("move forward, and read implies delivered", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.fill(ann, group, 9)
		ack := func(delivered, read int64) {
			t.Helper()
			acks := store.Acks{Delivered: map[store.ID]int64{group: delivered}, Read: map[store.ID]int64{group: read}}
			if read == 0 {
				acks.Read = nil
			}
			w.must(w.store.Ack(w.Context(), bob, acks))
		}
		ack(3, 0)
		w.wantsWatermarks(group, bob, 3, 0)
		ack(3, 5)
		w.wantsWatermarks(group, bob, 5, 5)
		ack(7, 2)
		w.wantsWatermarks(group, bob, 7, 5)
		ack(1, 1)
		w.wantsWatermarks(group, bob, 7, 5)
		ack(0, 6)
		w.wantsWatermarks(group, bob, 7, 6)
		ack(9, 9)
		w.wantsWatermarks(group, bob, 9, 9)
		equal(w, "rows", w.moves(group, bob), "delivered 3, delivered 5, read 5, read 6, delivered 7, delivered 9, read 9")
		stamps := w.number(`SELECT COUNT(*) FROM receipts WHERE stamp <= 0 OR at <= 0`)
		equal(w, "without stamp or time", stamps, 0)
	})

	t.Run("conversations one is not in are ignored", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group, other, left := w.group(ann, "", "bob"), w.group(ann, ""), w.group(ann, "", "bob")
		w.fill(ann, group, 3)
		w.fill(ann, left, 3)
		w.remove(bob, left, bob.UserID)
		w.must(w.store.Ack(w.Context(), bob, store.Acks{
			Read:      map[store.ID]int64{group: 3, left: 3, other: 99, store.NewID(): 7},
			Delivered: map[store.ID]int64{other: 1},
		}))
		w.wantsWatermarks(group, bob, 3, 3)
		equal(w, "receipts", w.number(`SELECT COUNT(*) FROM receipts`), 2)
		w.store.NoteDelivered(bob.UserID, left, 3)
		w.store.NoteDelivered(bob.UserID, group, 99)
		w.must(w.store.Ack(w.Context(), bob, store.Acks{}))
	})

	t.Run("beyond the end nothing is applied", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group, other := w.group(ann, "", "bob"), w.group(ann, "", "bob")
		w.fill(ann, group, 3)
		err := w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 3, other: 2}})
		w.wantsField(store.CodeConflict, "read", err)
		err = w.store.Ack(w.Context(), bob, store.Acks{Delivered: map[store.ID]int64{group: 4}, Read: map[store.ID]int64{group: 2}})
		w.wantsField(store.CodeConflict, "delivered", err)
		err = w.store.Ack(w.Context(), bob, store.Acks{Delivered: map[store.ID]int64{group: -1}})
		w.wantsField(store.CodeInvalid, "delivered", err)
		many := make(map[store.ID]int64)
		for range store.MaxAcksAtOnce + 1 {
			many[store.NewID()] = 1
		}
		w.wantsField(store.CodeInvalid, "read", w.store.Ack(w.Context(), bob, store.Acks{Read: many}))
		w.must(w.store.Ack(w.Context(), bob, store.Acks{}))
		equal(w, "receipts", w.number(`SELECT COUNT(*) FROM receipts`), 0)
	})

	t.Run("many conversations in one write", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		read := make(map[store.ID]int64)
		for range 30 {
			read[w.group(ann, "", "bob")] = 1
		}
		writes := w.backend.writes.Load()
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: read}))
		equal(w, "writes", w.backend.writes.Load()-writes, 1)
		equal(w, "watermarks", w.number(`SELECT COUNT(*) FROM watermarks WHERE read_seq = 1 AND delivered_seq = 1`), 30)
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: read}))
		equal(w, "writes when nothing moves", w.backend.writes.Load()-writes, 1)
	})

	t.Run("moves of one user within a second share a write", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.fill(ann, group, 9)
		start := time.Now()
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 2}}))
		together(6, func(i int) {
			if err := w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: int64(i) + 3}}); err != nil {
				t.Error(err)
			}
			w.wantsAtLeast(group, bob, int64(i)+3) // durable when it returns
		})
		if waited := time.Since(start); waited < 900*time.Millisecond {
			t.Errorf("two writes within %v", waited)
		}
		equal(w, "rows", w.moves(group, bob), "delivered 2, read 2, delivered 8, read 8")
	})

	t.Run("moves of many users share a write", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		var handles []string
		var actors []store.Actor
		for i := range 12 {
			handles = append(handles, fmt.Sprint("user", i))
			actors = append(actors, w.user(handles[i]))
		}
		group := w.group(ann, "", handles...)
		writes := w.backend.writes.Load()
		for _, a := range actors {
			w.store.NoteDelivered(a.UserID, group, 1)
		}
		w.eventually("all are stored", func() bool { return w.number(`SELECT COUNT(*) FROM watermarks WHERE delivered_seq = 1`) == 12 })
		if n := w.backend.writes.Load() - writes; n > 2 { // two, when a flush came between
			t.Errorf("%d writes", n)
		}
	})

	t.Run("noted deliveries are coalesced", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.fill(ann, group, 30)
		for seq := int64(30); seq > 0; seq-- {
			w.store.NoteDelivered(bob.UserID, group, seq)
		}
		w.store.NoteDelivered(bob.UserID, group, 0)
		w.store.NoteDelivered(bob.UserID, group, -5)
		w.eventually("it is stored", func() bool { return w.moves(group, bob) == "delivered 30" })
		writes := w.backend.writes.Load()
		w.store.NoteDelivered(bob.UserID, group, 10)
		w.eventually("it is passed over", func() bool { return w.backend.writes.Load() > writes })
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 20}}))
		w.wantsWatermarks(group, bob, 30, 20)
	})

	// What one node reads before it writes, another may move meanwhile: each
	// must decide under the lock of the row.
	t.Run("two nodes move the same watermarks", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		nodes := []*store.Store{w.store, w.another()}
		const people = 10
		var handles []string
		var actors []store.Actor
		for i := range people {
			handles = append(handles, fmt.Sprint("user", i))
			actors = append(actors, w.user(handles[i]))
		}
		groups := []store.ID{w.group(ann, "", handles...), w.group(ann, "", handles...)}
		w.fill(ann, groups[0], 4)
		w.fill(ann, groups[1], 4)
		together(4*people, func(i int) {
			read := map[store.ID]int64{groups[0]: int64(1 + i%4), groups[1]: int64(4 - i%4)}
			if err := nodes[i%2].Ack(w.Context(), actors[i/4], store.Acks{Read: read}); err != nil {
				t.Error(err)
			}
		})
		equal(w, "watermarks at the end", w.number(`SELECT COUNT(*) FROM watermarks WHERE read_seq = 4 AND delivered_seq = 4`), 2*people)
	})

	t.Run("closing stores what waits", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.fill(ann, group, 5)
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 2}}))
		w.store.NoteDelivered(bob.UserID, group, 5)
		var all sync.WaitGroup
		all.Go(func() {
			err := w.store.Ack(context.Background(), bob, store.Acks{Read: map[store.ID]int64{group: 4}})
			// It was queued before the end, or came after it.
			if code := store.CodeOf(err); code != "" && code != store.CodeUnavailable {
				t.Error(err)
			}
		})
		w.backend.keep = true
		w.must(w.store.Close())
		all.Wait()
		w.wants(store.CodeUnavailable, w.store.Ack(context.Background(), bob, store.Acks{Read: map[store.ID]int64{group: 5}}))
		equal(w, "delivered", w.number(`SELECT delivered_seq FROM watermarks WHERE user_id = ?`, bob.UserID), 5)
	})

	t.Run("a caller that goes away is answered at once", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		// It goes away while its move waits for the second to end. On a slow
		// machine it may be gone before, or the second over: then once more.
		var err error
		seq := int64(1)
		for tries := 0; tries < 6 && store.CodeOf(err) != store.CodeOutcomeUnknown; tries++ {
			seq += 2
			w.fill(ann, group, seq)
			w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: seq - 1}}))
			ctx, cancel := context.WithTimeout(w.Context(), 50*time.Millisecond<<(tries/2))
			err = w.store.Ack(ctx, bob, store.Acks{Read: map[store.ID]int64{group: seq}})
			cancel()
		}
		w.wants(store.CodeOutcomeUnknown, err)
		w.eventually("it is stored all the same", func() bool { return strings.HasSuffix(w.moves(group, bob), fmt.Sprint("read ", seq)) })
	})
}

func (w *world) wantsWatermarks(conversation store.ID, a store.Actor, delivered, read int64) {
	w.Helper()
	c, err := w.store.Conversation(w.Context(), a.UserID, conversation)
	w.must(err)
	equal(w, "delivered", c.DeliveredSeq, delivered)
	equal(w, "read", c.ReadSeq, read)
}

func (w *world) wantsAtLeast(conversation store.ID, a store.Actor, read int64) {
	w.Helper()
	got, err := w.read(`SELECT read_seq FROM watermarks WHERE user_id = ? AND conversation_id = ?`, a.UserID, conversation)
	if err != nil || got < read {
		w.Errorf("read watermark %d (%v), want at least %d", got, err, read)
	}
}

// moves tells a member's receipt rows in the order in which they were made.
func (w *world) moves(conversation store.ID, a store.Actor) string {
	w.Helper()
	var rows []struct {
		Kind string `db:"kind"`
		Seq  int64  `db:"seq"`
	}
	w.must(w.backend.Read(context.Background(), func(tx *store.Tx) error {
		return tx.Select(&rows, `SELECT kind, seq FROM receipts WHERE conversation_id = ? AND user_id = ? ORDER BY seq, kind`, conversation, a.UserID)
	}))
	var all []string
	for _, r := range rows {
		all = append(all, fmt.Sprint(r.Kind, " ", r.Seq))
	}
	return strings.Join(all, ", ")
}
