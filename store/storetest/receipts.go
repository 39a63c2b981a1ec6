package storetest

import (
	"testing"

	"holdline/store"
)

func (s *suite) receipts(t *testing.T) {
	t.Run("the time for a seq is that of the first move past it", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo := w.user("ann"), w.user("bob"), w.user("cleo")
		group := w.group(ann, "", "bob", "cleo")
		w.fill(ann, group, 6)
		for _, move := range []struct {
			a    store.Actor
			kind string
			seq  int64
			at   int64
		}{
			{bob, "delivered", 3, 100}, {bob, "delivered", 5, 200}, {bob, "read", 4, 300}, {cleo, "delivered", 6, 400}, {cleo, "notified", 2, 500},
		} {
			w.exec(`INSERT INTO receipts (conversation_id, kind, user_id, seq, at, stamp) VALUES (?, ?, ?, ?, ?, 1)`, group, move.kind, move.a.UserID, move.seq, move.at)
		}
		w.exec(`INSERT INTO watermarks (user_id, conversation_id, delivered_seq, notified_seq, read_seq, stamp)
			VALUES (?, ?, 5, 0, 4, 1), (?, ?, 6, 2, 0, 1)`, bob.UserID, group, cleo.UserID, group)
		for seq, want := range map[int64][2]store.Receipt{
			2: {{UserID: bob.UserID, DeliveredAt: 100, ReadAt: 300}, {UserID: cleo.UserID, DeliveredAt: 400, NotifiedAt: 500}},
			4: {{UserID: bob.UserID, DeliveredAt: 200, ReadAt: 300}, {UserID: cleo.UserID, DeliveredAt: 400}},
			6: {{UserID: bob.UserID}, {UserID: cleo.UserID, DeliveredAt: 400}},
		} {
			r, err := w.store.Receipts(w.Context(), bob.UserID, group, seq)
			w.must(err)
			if bob.UserID > cleo.UserID {
				want[0], want[1] = want[1], want[0]
			}
			equalSlices(w, "receipts", r.Members, want[:])
			message, err := w.store.Message(w.Context(), ann.UserID, group, seq)
			w.must(err)
			equal(w, "accepted", r.AcceptedAt, message.AcceptedAt)
			equal(w, "members", r.MemberCount, 2)
			var delivered, read, notified int64
			for _, m := range want {
				delivered, read, notified = delivered+sign(m.DeliveredAt), read+sign(m.ReadAt), notified+sign(m.NotifiedAt)
			}
			equal(w, "delivered", r.DeliveredCount, delivered)
			equal(w, "read", r.ReadCount, read)
			equal(w, "notified", r.NotifiedCount, notified)
		}
	})

	t.Run("of those who may read it", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo := w.user("ann"), w.user("bob"), w.user("cleo")
		group := w.group(ann, "", "bob")
		w.say(ann, group, "before cleo") // 2
		w.add(ann, group, "cleo")        // 3
		w.say(bob, group, "for all")     // 4
		w.must(w.store.Ack(w.Context(), cleo, store.Acks{Read: map[store.ID]int64{group: 4}}))
		who := func(seq int64) (ids []store.ID) {
			t.Helper()
			r, err := w.store.Receipts(w.Context(), ann.UserID, group, seq)
			w.must(err)
			for _, m := range r.Members {
				ids = append(ids, m.UserID)
			}
			return ids
		}
		equalSlices(w, "of 2", who(2), []store.ID{bob.UserID})
		equalSlices(w, "of 4", who(4), sorted(ann.UserID, cleo.UserID))
		w.remove(ann, group, bob.UserID) // 5
		equalSlices(w, "of 2 without bob", who(2), nil)
		w.add(ann, group, "bob") // 6
		w.say(ann, group, "again")
		equalSlices(w, "of 2 with bob back", who(2), []store.ID{bob.UserID})
		equalSlices(w, "of 7", who(7), sorted(bob.UserID, cleo.UserID))

		for _, seq := range []int64{1, 3, 99, 0, -1} {
			_, err := w.store.Receipts(w.Context(), ann.UserID, group, seq)
			w.wants(store.CodeNotFound, err)
		}
		_, err := w.store.Receipts(w.Context(), cleo.UserID, group, 2)
		w.wants(store.CodeNotFound, err)
	})

	t.Run("counts in a large group", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo := w.user("ann"), w.user("bob"), w.user("cleo")
		handles := w.crowd(store.MaxReceiptMembers - 2)
		group := w.group(ann, "", append(handles, "bob")...) // 256
		w.say(ann, group, "x")
		w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 2}}))
		r, err := w.store.Receipts(w.Context(), ann.UserID, group, 2)
		w.must(err)
		equal(w, "named", len(r.Members), store.MaxReceiptMembers-1)
		equal(w, "read", r.ReadCount, 1)

		w.add(ann, group, "cleo") // 257, but cleo may not read it
		r, err = w.store.Receipts(w.Context(), ann.UserID, group, 2)
		w.must(err)
		if r.Members != nil {
			t.Errorf("%d members are named", len(r.Members))
		}
		equal(w, "members", r.MemberCount, store.MaxReceiptMembers-1)
		equal(w, "read", r.ReadCount, 1)
		equal(w, "delivered", r.DeliveredCount, 1)
		w.say(ann, group, "y") // 4
		w.must(w.store.Ack(w.Context(), cleo, store.Acks{Delivered: map[store.ID]int64{group: 4}}))
		r, err = w.store.Receipts(w.Context(), ann.UserID, group, 4)
		w.must(err)
		equal(w, "members", r.MemberCount, store.MaxReceiptMembers)
		equal(w, "delivered", r.DeliveredCount, 1)
		equal(w, "read", r.ReadCount, 0)
		equal(w, "notified", r.NotifiedCount, 0)
	})
}

func sign(at store.Millis) int64 {
	if at > 0 {
		return 1
	}
	return 0
}

func sorted(a, b store.ID) []store.ID { return []store.ID{min(a, b), max(a, b)} }
