package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"holdline/store"
)

// inbox compares every question of the inbox, for every user and every stamp,
// with what the whole log says.
func (s *suite) inbox(t *testing.T) {
	s.inboxHistory(t, 0, 80)
	t.Run("a long log", s.inboxOfLength)
	t.Run("removed", s.inboxOfRemoved)
	t.Run("receipts", s.inboxReceipts)
	t.Run("caught up", s.inboxCaughtUp)
	t.Run("races", s.inboxRaces)
}

func (s *suite) inboxHistory(t *testing.T, seed uint64, steps int) {
	t.Run(fmt.Sprint("history ", seed), func(t *testing.T) {
		h := s.history(t, seed, steps)
		t.Run("interests", h.checkInterests)
		t.Run("moved", h.checkMoved)
		t.Run("places", h.checkPlaces)
		t.Run("changes", h.checkChanges)
		t.Run("watermarks", h.checkWatermarks)
		t.Run("receipts", h.checkReceipts)
		t.Run("caught up", h.checkCaughtUp) // last: it clears the receipts
	})
}

func (h *history) checkInterests(t *testing.T) {
	for _, user := range h.everybody() {
		var want []store.Interest
		for _, id := range slices.Sorted(maps.Keys(h.logs)) {
			if latest := h.logs[id].latest(user); latest != nil && latest.ToSeq == 0 {
				want = append(want, store.Interest{ConversationID: id, Slot: h.slots[placeOf{user, id}], FromSeq: latest.FromSeq})
			}
		}
		got, err := h.store.Interests(h.Context(), user)
		h.must(err)
		if !slices.Equal(got, want) {
			t.Errorf("of %s: got %v, want %v", user, got, want)
		}
	}
}

// checkMoved compares page by page, and what a reader would give by it with
// what lies above the stamp and may be read.
func (h *history) checkMoved(t *testing.T) {
	seen := 0
	for _, user := range h.everybody() {
		for _, since := range h.since() {
			want := h.moved(user, since)
			got, pages := h.allMoved(user, since, 1+h.random.IntN(4))
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("of %s above %d of %d:\ngot  %+v\nwant %+v", user, since, h.closedAt, got, want)
			}
			seen += pages
			given := make(map[store.ID][]int64)
			for _, m := range got {
				for seq := m.At + 1; seq <= m.LastSeq; seq++ {
					if slices.ContainsFunc(m.Intervals, func(i store.Interval) bool { return (&modelStretch{Interval: i}).holds(seq) }) {
						given[m.ConversationID] = append(given[m.ConversationID], seq)
					}
				}
			}
			for id, log := range h.logs {
				if want := log.readable(user, since); !slices.Equal(given[id], want) {
					t.Fatalf("%s above %d would be given %v of %s, may read %v", user, since, given[id], id, want)
				}
			}
		}
	}
	if seen < 3*h.steps {
		t.Errorf("only %d pages were compared", seen)
	}
}

// allMoved asks page by page.
func (h *history) allMoved(user store.ID, since int64, limit int) (all []store.Moved, pages int) {
	h.Helper()
	for from := int64(0); ; pages++ {
		page, err := h.store.Moved(h.Context(), user, since, from, limit)
		h.must(err)
		equal(h.world, "epoch", page.Epoch, h.store.Epoch())
		if page.Closed < h.closedAt {
			h.Errorf("closed is %d, was %d", page.Closed, h.closedAt)
		}
		if len(page.Moved) > limit || (page.More && len(page.Moved) < limit) {
			h.Errorf("%d of at most %d, more: %v", len(page.Moved), limit, page.More)
		}
		all = append(all, page.Moved...)
		if !page.More {
			return all, pages + 1
		}
		from = all[len(all)-1].Slot + 1
	}
}

// checkPlaces compares places at a stamp, and places named by low bits.
func (h *history) checkPlaces(t *testing.T) {
	for id, log := range h.logs {
		for _, since := range append(h.since(), -1) {
			got, err := h.store.PlaceAt(h.Context(), id, since)
			h.must(err)
			if want := log.placeAt(since); got != want {
				t.Errorf("place of %s at %d: got %d, want %d", id, since, got, want)
			}
		}
	}
	none, err := h.store.PlaceAt(h.Context(), store.NewID(), h.closedAt)
	h.must(err)
	equal(h.world, "place in a conversation that does not exist", none, 0)

	named := 0
	for _, user := range h.everybody() {
		// Twice: where commits share stamps there are few places to ask about.
		for _, since := range slices.Repeat(h.since(), 2) {
			ask := []store.SlotPlace{{Slot: 1000, Low: 1, Bits: 7}} // nobody's
			var want []store.Place
			for place, slot := range h.slots {
				if place.user != user || h.random.IntN(3) == 0 {
					continue
				}
				bits := 1 + h.random.IntN(7)
				low := h.random.Int64N(1 << bits)
				ask = append(ask, store.SlotPlace{Slot: slot, Low: low, Bits: bits})
				log := h.logs[place.conversation]
				at := log.placeAt(since)
				for seq := at; seq <= int64(len(log.events)); seq++ {
					if seq%(1<<bits) != low {
						continue
					}
					if stamp := log.since(user, seq); stamp > 0 {
						want = append(want, store.Place{Slot: slot, ConversationID: place.conversation, Seq: seq, Stamp: stamp, Past: seq - at})
					}
					break
				}
			}
			got, err := h.store.Places(h.Context(), user, since, ask)
			h.must(err)
			bySlot := func(a, b store.Place) int { return int(a.Slot - b.Slot) }
			slices.SortFunc(got, bySlot)
			slices.SortFunc(want, bySlot)
			if !slices.Equal(got, want) {
				t.Fatalf("places of %s above %d, asked for %v: got %v, want %v", user, since, ask, got, want)
			}
			named += len(got)
		}
	}
	if named < 200 {
		t.Errorf("only %d places were found", named)
	}
}

func (h *history) checkChanges(t *testing.T) {
	for _, since := range h.since() {
		changes, err := h.store.InboxChanges(h.Context(), since)
		h.must(err)
		var want []store.MembershipChange
		for id, log := range h.logs {
			for user, stamp := range log.touched {
				if stamp <= since {
					continue
				}
				latest := log.latest(user)
				want = append(want, store.MembershipChange{
					UserID: user, ToSeq: latest.ToSeq,
					Interest: store.Interest{ConversationID: id, Slot: h.slots[placeOf{user, id}], FromSeq: latest.FromSeq},
				})
			}
		}
		slices.SortFunc(changes.Memberships, compareChanges)
		slices.SortFunc(want, compareChanges)
		if !slices.Equal(changes.Memberships, want) {
			t.Errorf("memberships changed above %d: got %v, want %v", since, changes.Memberships, want)
		}
		h.wantsMoves(t, fmt.Sprint("moved above ", since), changes.Moves, h.watermarks(since, func(store.ID) bool { return true }))
	}
}

func compareChanges(a, b store.MembershipChange) int {
	return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.ConversationID, b.ConversationID))
}

func (h *history) checkWatermarks(t *testing.T) {
	some := h.groups[:len(h.groups)/2]
	among := func(id store.ID) bool { return slices.Contains(some, id) }
	hidden := 0
	for _, since := range h.since() {
		moves, err := h.store.MovesIn(h.Context(), some, since)
		h.must(err)
		h.wantsMoves(t, fmt.Sprint("moved in some above ", since), moves, h.watermarks(since, among))
		for _, user := range h.everybody() {
			moves, err := h.store.MovesFor(h.Context(), user, since)
			h.must(err)
			want := h.watermarks(since, func(id store.ID) bool {
				latest := h.logs[id].latest(user)
				return latest != nil && latest.ToSeq == 0
			})
			maps.DeleteFunc(want, func(p placeOf, m store.WatermarkMove) bool {
				if m.OnlyHidden {
					hidden++
				}
				if p.user == user {
					return !m.ReadMoved
				}
				return m.OnlyHidden
			})
			h.wantsMoves(t, fmt.Sprint("moved for ", user, " above ", since), moves, want)
		}
	}
	if hidden == 0 {
		t.Error("nothing that moved was hidden")
	}
	moves, err := h.store.WatermarksIn(h.Context(), some)
	h.must(err)
	h.wantsMoves(t, "watermarks", moves, h.watermarks(0, among))
	moves, err = h.store.WatermarksIn(h.Context(), nil)
	h.must(err)
	h.wantsMoves(t, "watermarks of nothing", moves, nil)
	moves, err = h.store.MovesIn(h.Context(), nil, 0)
	h.must(err)
	h.wantsMoves(t, "moves in nothing", moves, nil)
}

// wantsMoves compares whatever the order.
func (h *history) wantsMoves(t *testing.T, what string, got []store.WatermarkMove, want map[placeOf]store.WatermarkMove) {
	t.Helper()
	found := make(map[placeOf]store.WatermarkMove)
	for _, m := range got {
		place := placeOf{m.UserID, m.ConversationID}
		if _, twice := found[place]; twice {
			t.Errorf("%s: %v is told twice", what, m)
		}
		found[place] = m
	}
	if !maps.Equal(found, want) {
		t.Errorf("%s: got %v, want %v", what, found, want)
	}
}

// checkReceipts makes sure that there is one row for each move that was made,
// and that stamps and times never fall along the moves of one kind.
func (h *history) checkReceipts(t *testing.T) {
	stored := make(map[placeOf][]string)
	last := make(map[string]receiptRow)
	for _, r := range h.receipts {
		place := placeOf{r.UserID, r.ConversationID}
		stored[place] = append(stored[place], fmt.Sprint(r.Kind, " ", r.Seq))
		key := fmt.Sprint(place, r.Kind)
		if before := last[key]; r.Stamp <= before.Stamp || r.At < before.At || r.At == 0 {
			t.Errorf("%+v follows %+v", r, before)
		}
		last[key] = r
	}
	total := 0
	for place, made := range h.moves {
		slices.Sort(made)
		slices.Sort(stored[place])
		if !slices.Equal(stored[place], made) {
			t.Errorf("receipts of %v: got %v, want %v", place, stored[place], made)
		}
		total += len(made)
	}
	if total != len(h.receipts) || total < h.steps/4 {
		t.Errorf("%d moves were made, %d are stored", total, len(h.receipts))
	}
}
