package storetest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"holdline/store"
)

// caughtUp returns what is noted as delivered, from no receipts at all. A node
// of its own does it, whose end stores what it has noted.
func (w *world) caughtUp(user store.ID, c store.CaughtUp) map[store.ID]int64 {
	w.Helper()
	w.exec(`DELETE FROM receipts`)
	w.exec(`DELETE FROM watermarks`)
	node, err := store.New(w.Context(), shared{w.backend}, store.Options{})
	w.must(err)
	w.must(node.NoteCaughtUp(w.Context(), user, c))
	w.must(node.Close())
	var rows []store.Head
	w.must(w.backend.Read(context.Background(), func(tx *store.Tx) error {
		return tx.Select(&rows, `SELECT conversation_id, delivered_seq AS last_seq FROM watermarks WHERE user_id = ? AND delivered_seq > 0`, user)
	}))
	noted := make(map[store.ID]int64)
	for _, r := range rows {
		noted[r.ConversationID] = r.LastSeq
	}
	return noted
}

func (h *history) checkCaughtUp(t *testing.T) {
	stamps, noted := h.since(), 0
	for range 150 {
		user := h.everybody()[h.random.IntN(len(h.people)+2)]
		at := h.random.IntN(len(stamps) - 2)
		since, until := stamps[at], stamps[at+1+h.random.IntN(len(stamps)-2-at)] // not above closed
		c := whole(since, until)
		if h.random.IntN(2) == 0 {
			c.Slot, c.Seq = 1+h.random.Int64N(int64(len(h.groups))), h.random.Int64N(30)
		}
		want := h.caughtUpTo(user, c)
		if got := h.caughtUp(user, c); !maps.Equal(got, want) {
			t.Errorf("%s caught up by %+v of %d: noted %v, was given %v", user, c, h.closedAt, got, want)
		}
		noted += len(want)
	}
	if noted < 100 {
		t.Errorf("only %d deliveries were noted", noted)
	}
}

// inboxCaughtUp spells out what is not to be noted: what nobody was given.
func (s *suite) inboxCaughtUp(t *testing.T) {
	w := s.world(t)
	ann, bob := w.user("ann"), w.user("bob")
	here, later, again := w.group(ann, store.HistoryAll, "bob"), w.group(ann, store.HistoryAll), w.group(ann, "", "bob")
	since := w.closedStamp()
	w.say(ann, here, "given")           // 2
	w.say(ann, later, "before bob")     // 2
	w.say(ann, again, "given")          // 2
	w.remove(ann, again, bob.UserID)    // 3
	w.say(ann, again, "while bob away") // 4
	until := w.closedStamp()
	w.say(ann, here, "not given yet") // 3
	w.add(ann, later, "bob")          // 3
	w.add(ann, again, "bob")          // 5
	now := w.closedStamp()

	noted := w.caughtUp(bob.UserID, whole(since, until))
	equal(w, "where bob was all the time", noted[here], 2)
	equal(w, "where bob came later", noted[later], 0)
	equal(w, "where bob came back later: up to the removal", noted[again], 3)
	noted = w.caughtUp(bob.UserID, whole(until, now))
	equal(w, "where bob was all the time", noted[here], 3)
	equal(w, "where bob came", noted[later], 3)
	equal(w, "where bob came back", noted[again], 5)
	noted = w.caughtUp(bob.UserID, whole(now, now))
	equal(w, "when nothing was given", len(noted), 0)

	// In the middle of a scan: at the place where bob's first stretch began to be
	// given, in what was hidden, and behind it.
	slot := w.number(`SELECT slot FROM memberships WHERE user_id = ? AND conversation_id = ?`, bob.UserID, again)
	for seq, want := range map[int64]int64{1: 0, 2: 2, 3: 3, 4: 3, 5: 5, 6: 5} {
		noted = w.caughtUp(bob.UserID, store.CaughtUp{Since: since, Until: now, Slot: slot, Seq: seq})
		equal(w, fmt.Sprint("scanned to ", seq), noted[again], want)
		equal(w, "of a slot before", noted[here], 3)
		equal(w, "of a slot after", noted[later], 0)
	}

	// Never back, and nothing of somebody who is away.
	w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{here: 3}}))
	w.must(w.store.NoteCaughtUp(w.Context(), bob.UserID, whole(since, until)))
	w.remove(ann, later, bob.UserID)
	w.must(w.store.NoteCaughtUp(w.Context(), bob.UserID, whole(since, now)))
	// What was noted before may have been written before.
	w.eventually("it is noted", func() bool { return strings.HasSuffix(w.moves(again, bob), "delivered 5") })
	equal(w, "moves where bob has read on", w.moves(here, bob), "delivered 3, read 3")
	equal(w, "moves where bob is away", w.moves(later, bob), "")
}

// whole is a catch-up that has passed every slot.
func whole(since, until int64) store.CaughtUp {
	return store.CaughtUp{Since: since, Until: until, Slot: math.MaxInt64}
}
