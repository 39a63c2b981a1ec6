package storetest

import (
	"slices"
	"sync"
	"testing"

	"holdline/store"
)

func (s *suite) inboxReceipts(t *testing.T) {
	t.Run("a resume finds the latest of what moved", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.fill(ann, group, 9)
		var stamps []int64
		for _, read := range []int64{2, 5, 9} { // each move by a node of its own
			stamps = append(stamps, w.closedStamp())
			w.must(w.another().Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: read}}))
		}
		for _, since := range stamps {
			moves, err := w.store.MovesFor(w.Context(), ann.UserID, since)
			w.must(err)
			if len(moves) != 1 || moves[0].ReadSeq != 9 || moves[0].DeliveredSeq != 9 || moves[0].ReadAt == 0 || moves[0].DeliveredAt == 0 {
				t.Errorf("above %d: %+v", since, moves)
			}
		}
		moves, err := w.store.MovesFor(w.Context(), ann.UserID, w.closedStamp())
		w.must(err)
		equal(w, "moves when all are known", len(moves), 0)
	})

	t.Run("hidden from the moment on", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 1}}))
		hidden := func() (all []bool) {
			t.Helper()
			for _, call := range []func() ([]store.WatermarkMove, error){
				func() ([]store.WatermarkMove, error) { return w.store.MovesFor(w.Context(), ann.UserID, 0) },
				func() ([]store.WatermarkMove, error) {
					return w.store.MovesIn(w.Context(), []store.ID{group}, 0)
				},
				func() ([]store.WatermarkMove, error) { return w.store.WatermarksIn(w.Context(), []store.ID{group}) },
				func() ([]store.WatermarkMove, error) {
					c, err := w.store.InboxChanges(w.Context(), 0)
					return c.Moves, err
				},
			} {
				moves, err := call()
				w.must(err)
				if len(moves) != 1 || moves[0].ReadSeq != 1 {
					t.Errorf("moves: %+v", moves)
					continue
				}
				all = append(all, moves[0].ReadHidden)
			}
			receipts, err := w.store.Receipts(w.Context(), ann.UserID, group, w.say(ann, group, "x").Seq)
			w.must(err)
			equal(w, "readers", receipts.MemberCount, 1)
			return all
		}
		equalSlices(w, "at first", hidden(), []bool{false, false, false, false})
		u, err := w.store.SetReadReceipts(w.Context(), bob, false)
		w.must(err)
		equal(w, "answered", u.ReadReceipts, false)
		equalSlices(w, "turned off", hidden(), []bool{true, true, true, true})
		u, err = w.store.SetReadReceipts(w.Context(), bob, true)
		w.must(err)
		equal(w, "answered", u.ReadReceipts, true)
		equalSlices(w, "turned on", hidden(), []bool{false, false, false, false})
		w.must(w.store.EndSession(w.Context(), bob.UserID, bob.SessionID))
		_, err = w.store.SetReadReceipts(w.Context(), bob, false)
		w.wants(store.CodeUnauthorized, err)
		equalSlices(w, "by a session that has ended", hidden(), []bool{false, false, false, false})
	})

	t.Run("who turned them off is read by themselves alone", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		message := w.say(ann, group, "x").Seq
		_, err := w.store.SetReadReceipts(w.Context(), bob, false)
		w.must(err)
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: message}}))
		for _, viewer := range []store.Actor{ann, bob} {
			r, err := w.store.Receipts(w.Context(), viewer.UserID, group, message)
			w.must(err)
			equal(w, "delivered", r.DeliveredCount, 1)
			equal(w, "read", r.ReadCount, map[bool]int64{true: 1, false: 0}[viewer == bob])
		}
	})

	// That a receipt comes at all tells that something was read.
	t.Run("a hidden reading does not stir the others", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.fill(ann, group, 3)
		_, err := w.store.SetReadReceipts(w.Context(), bob, false)
		w.must(err)
		start := w.closedStamp()
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Delivered: map[store.ID]int64{group: 3}}))
		delivered := w.closedStamp()
		w.must(w.another().Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 3}}))
		for _, want := range []struct {
			viewer store.Actor
			since  int64
			moves  int
		}{{ann, start, 1}, {bob, start, 1}, {ann, delivered, 0}, {bob, delivered, 1}} {
			moves, err := w.store.MovesFor(w.Context(), want.viewer.UserID, want.since)
			w.must(err)
			equal(w, "moves", len(moves), want.moves)
		}
		for since, only := range map[int64]bool{start: false, delivered: true} {
			moves, err := w.store.MovesIn(w.Context(), []store.ID{group}, since)
			w.must(err)
			if len(moves) != 1 || moves[0].OnlyHidden != only || !moves[0].ReadHidden {
				t.Errorf("above %d: %+v", since, moves)
			}
		}
	})

	t.Run("the feed of moves", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		groups := []store.ID{w.group(ann, "", "bob"), w.group(ann, "", "bob"), w.group(ann, "", "bob")}
		slices.Sort(groups)
		var mu sync.Mutex
		var told [][]store.ID
		// node is one that tells what it moved, and that it was durable by then.
		node := func() *store.Store {
			node, err := store.New(w.Context(), shared{w.backend}, store.Options{FeedMoved: func(ids []store.ID) {
				for _, id := range ids {
					n, err := w.read(`SELECT COUNT(*) FROM watermarks WHERE conversation_id = ? AND delivered_seq > 0`, id)
					if err != nil || n == 0 {
						t.Errorf("%s is told before it is stored (%v)", id, err)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				told = append(told, ids)
			}})
			w.must(err)
			return node
		}
		first := node()
		w.must(first.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{groups[2]: 1, groups[0]: 1}}))
		w.must(first.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{groups[0]: 1}})) // no move
		first.NoteDelivered(bob.UserID, groups[1], 99)                                          // beyond the end
		first.NoteDelivered(bob.UserID, groups[2], 1)                                           // known
		w.must(first.Close())
		second := node() // what waits at its end is one write
		second.NoteDelivered(bob.UserID, groups[1], 1)
		for _, id := range groups {
			second.NoteDelivered(ann.UserID, id, 1)
		}
		w.must(second.Close())
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 2 || !slices.Equal(told[0], []store.ID{groups[0], groups[2]}) || !slices.Equal(told[1], groups) {
			t.Errorf("told %v of %v", told, groups)
		}
	})

	// 256 members are named, 257 are counted; who left counts no more.
	t.Run("a large group names nobody", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		w.user("cleo")
		large := w.group(ann, "", append(w.crowd(store.MaxReceiptMembers-2), "bob")...) // 256
		small := w.group(ann, "", "bob")
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{large: 1, small: 1}}))
		named := func(what string, want ...store.ID) {
			t.Helper()
			moves, err := w.store.MovesFor(w.Context(), ann.UserID, 0)
			w.must(err)
			all, err := w.store.WatermarksIn(w.Context(), []store.ID{large, small})
			w.must(err)
			names, err := w.store.NamesReaders(w.Context(), []store.ID{large, small})
			w.must(err)
			slices.Sort(want)
			for _, found := range [][]store.WatermarkMove{moves, all} {
				var ids []store.ID
				for _, m := range found {
					ids = append(ids, m.ConversationID)
				}
				slices.Sort(ids)
				equalSlices(w, what, ids, want)
			}
			for _, id := range []store.ID{large, small} {
				equal(w, what+", named", names[id], slices.Contains(want, id))
			}
		}
		named("256 members", large, small)
		w.add(ann, large, "cleo")
		named("257 members", small)
		w.remove(ann, large, w.number256(large))
		named("256 members again", large, small)
	})
}

// number256 is some member of a group who is neither its owner nor has read anything.
func (w *world) number256(group store.ID) store.ID {
	w.Helper()
	return store.ID(w.number(`SELECT MAX(m.user_id) FROM members m WHERE m.conversation_id = ? AND m.to_seq = 0 AND m.role = 'member'
		AND NOT EXISTS (SELECT 1 FROM watermarks w WHERE w.conversation_id = m.conversation_id AND w.user_id = m.user_id)`, group))
}
