package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"holdline/store"
)

// placeOf is one user in one conversation.
type placeOf struct{ user, conversation store.ID }

// history is a random course of events, the same for the same seed but for ids
// and stamps, and what can be said of it by going through the whole log.
type history struct {
	*world
	random  *rand.Rand
	steps   int
	owner   store.Actor // of all groups; never leaves
	people  []store.Actor
	handles []string
	groups  []store.ID
	slots   map[placeOf]int64    // in the order in which each user came to conversations
	hidden  map[store.ID]bool    // who shows nobody what they have read
	moves   map[placeOf][]string // as they were made: "read 5"

	closedAt int64
	logs     map[store.ID]*wholeLog
	receipts []receiptRow // as they are stored
}

type receiptRow struct {
	ConversationID store.ID     `db:"conversation_id"`
	Kind           string       `db:"kind"`
	UserID         store.ID     `db:"user_id"`
	Seq            int64        `db:"seq"`
	At             store.Millis `db:"at"`
	Stamp          int64        `db:"stamp"`
}

// history makes one: people who send, join, leave, are removed and come back,
// in groups with either rule for history, and read what they find.
func (s *suite) history(t *testing.T, seed uint64, steps int) *history {
	t.Helper()
	h := &history{
		world: s.world(t), random: rand.New(rand.NewPCG(seed, 1)), steps: steps,
		slots: make(map[placeOf]int64), hidden: make(map[store.ID]bool), moves: make(map[placeOf][]string),
	}
	h.owner = h.user("owner")
	for i := range 6 {
		h.handles = append(h.handles, fmt.Sprint("user", i))
		h.people = append(h.people, h.user(h.handles[i]))
	}
	h.create(store.HistoryAll, 0, 1)
	h.create(store.HistoryJoined, 1, 2, 3)
	for step := range steps {
		switch {
		case step%40 == 20:
			h.create([]string{store.HistoryAll, store.HistoryJoined}[step/40%2], h.random.IntN(6))
		case step%27 == 26:
			h.ackAll()
		default:
			h.act()
		}
		if h.random.IntN(8) == 0 {
			h.closed()
		}
	}
	h.readInSecret()
	h.closed()
	h.load()
	return h
}

// readInSecret lets somebody read what they had long before, unseen.
func (h *history) readInSecret() {
	h.Helper()
	_, err := h.store.SetReadReceipts(h.Context(), h.owner, false)
	h.must(err)
	h.hidden[h.owner.UserID] = true
	place := placeOf{h.owner.UserID, h.groups[0]}
	for _, kind := range []string{"delivered", "read"} {
		last := h.say(h.owner, place.conversation, "x").Seq
		acks := store.Acks{Delivered: map[store.ID]int64{place.conversation: last}}
		if kind == "read" {
			last--
			acks = store.Acks{Read: map[store.ID]int64{place.conversation: last}}
		}
		h.must(h.another().Ack(h.Context(), h.owner, acks))
		h.moves[place] = append(h.moves[place], fmt.Sprint(kind, " ", last))
		h.closed()
	}
}

func (h *history) create(rule string, members ...int) {
	h.Helper()
	var handles []string
	for _, m := range members {
		handles = append(handles, h.handles[m])
	}
	id := h.group(h.owner, rule, handles...)
	h.groups = append(h.groups, id)
	h.came(h.owner.UserID, id)
	for _, m := range members {
		h.came(h.people[m].UserID, id)
	}
}

// came gives a user who is new to a conversation the next slot.
func (h *history) came(user, conversation store.ID) {
	place := placeOf{user, conversation}
	if h.slots[place] != 0 {
		return
	}
	next := int64(1)
	for p := range h.slots {
		if p.user == user {
			next++
		}
	}
	h.slots[place] = next
}

// act does one thing that appends to a log.
func (h *history) act() {
	h.Helper()
	group, who := h.groups[h.random.IntN(len(h.groups))], h.random.IntN(len(h.people))
	a := h.people[who]
	var err error
	switch h.random.IntN(10) {
	case 0, 1, 2:
		_, err = h.store.AddMembers(h.Context(), h.owner, group, []string{h.handles[who]})
		h.came(a.UserID, group)
	case 3:
		_, err = h.store.RemoveMember(h.Context(), h.owner, group, a.UserID)
	case 4:
		_, err = h.store.RemoveMember(h.Context(), a, group, a.UserID)
	case 5:
		_, _, err = h.store.SetTitle(h.Context(), h.owner, group, fmt.Sprint("title ", h.random.Uint32()))
	default:
		h.say(h.owner, group, "x")
	}
	if code := store.CodeOf(err); code != "" && code != store.CodeNotFound { // not a member
		h.Fatal(err)
	}
}

// ackAll lets everybody move forward where they are members, by a node of its
// own, since one gathers a user's moves for a second; then some turn their
// read receipts on or off.
func (h *history) ackAll() {
	h.Helper()
	node := h.another()
	for _, a := range append([]store.Actor{h.owner}, h.people...) {
		acks := store.Acks{Delivered: map[store.ID]int64{}, Read: map[store.ID]int64{}}
		list, _, err := h.store.Conversations(h.Context(), a.UserID, 0, 100)
		h.must(err)
		slices.SortFunc(list, func(a, b store.Conversation) int { return slices.Index(h.groups, a.ID) - slices.Index(h.groups, b.ID) })
		for _, c := range list {
			delivered, read := 1+h.random.Int64N(c.LastSeq), 1+h.random.Int64N(c.LastSeq)
			place := placeOf{a.UserID, c.ID}
			switch h.random.IntN(3) {
			case 0:
				acks.Delivered[c.ID], read = delivered, 0
			case 1:
				if c.DeliveredSeq > 0 && h.random.IntN(2) == 0 {
					read = 1 + h.random.Int64N(c.DeliveredSeq)
				}
				acks.Read[c.ID], delivered = read, read
			default:
				continue
			}
			if delivered > c.DeliveredSeq {
				h.moves[place] = append(h.moves[place], fmt.Sprint("delivered ", delivered))
			}
			if read > c.ReadSeq {
				h.moves[place] = append(h.moves[place], fmt.Sprint("read ", read))
			}
		}
		h.must(node.Ack(h.Context(), a, acks))
		if h.random.IntN(2) == 0 {
			h.hidden[a.UserID] = !h.hidden[a.UserID]
			u, err := h.store.SetReadReceipts(h.Context(), a, !h.hidden[a.UserID])
			h.must(err)
			equal(h.world, "shows what they read", u.ReadReceipts, !h.hidden[a.UserID])
		}
	}
}

// load reads the whole log and goes through it.
func (h *history) load() {
	h.Helper()
	h.logs = make(map[store.ID]*wholeLog)
	for _, id := range h.groups {
		events, more, err := h.store.Events(context.Background(), id, 1, 1<<40, 1000)
		h.must(err)
		if more {
			h.Fatal("the log is longer than a page")
		}
		log := &wholeLog{events: events, stretches: make(map[store.ID][]modelStretch), touched: make(map[store.ID]int64)}
		for _, a := range append([]store.Actor{h.owner}, h.people...) {
			if c, err := h.store.Conversation(h.Context(), a.UserID, id); err == nil {
				log.history = c.History
			}
		}
		for i := range events {
			log.replay(&events[i])
		}
		h.logs[id] = log
	}
	h.must(h.backend.Read(context.Background(), func(tx *store.Tx) error {
		h.receipts = nil
		return tx.Select(&h.receipts, `SELECT conversation_id, kind, user_id, seq, at, stamp FROM receipts ORDER BY seq`)
	}))
	var err error
	_, h.closedAt, err = h.backend.Horizon(context.Background())
	h.must(err)
}

// everybody are all users, also one who was never in a conversation.
func (h *history) everybody() []store.ID {
	ids := []store.ID{h.owner.UserID, store.NewID()}
	for _, a := range h.people {
		ids = append(ids, a.UserID)
	}
	return ids
}

// since are the stamps that it may matter to have seen: all there are, none,
// and one that is not closed yet.
func (h *history) since() []int64 {
	stamps := map[int64]bool{0: true, h.closedAt: true, h.closedAt + 1000: true}
	for _, log := range h.logs {
		for _, e := range log.events {
			stamps[e.Stamp] = true
		}
	}
	for _, r := range h.receipts {
		stamps[r.Stamp] = true
	}
	return slices.Sorted(maps.Keys(stamps))
}

// moved is what Moved must say.
func (h *history) moved(user store.ID, since int64) (all []store.Moved) {
	for id, log := range h.logs {
		latest := log.latest(user)
		if latest == nil {
			continue
		}
		last := log.events[len(log.events)-1]
		end := last
		if latest.ToSeq != 0 {
			end = log.events[latest.ToSeq-1]
		}
		if end.Stamp <= since {
			continue
		}
		m := store.Moved{
			Interest: store.Interest{ConversationID: id, Slot: h.slots[placeOf{user, id}], FromSeq: latest.FromSeq},
			LastSeq:  last.Seq, LastStamp: last.Stamp, At: log.placeAt(since),
		}
		for _, s := range log.stretches[user] {
			m.Intervals = append(m.Intervals, s.Interval)
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b store.Moved) int { return int(a.Slot - b.Slot) })
	return all
}

// watermarks are the latest moves above a stamp, by user and conversation.
func (h *history) watermarks(since int64, wanted func(conversation store.ID) bool) map[placeOf]store.WatermarkMove {
	all, stamps := make(map[placeOf]store.WatermarkMove), make(map[placeOf]int64)
	shown := make(map[placeOf]bool)
	for _, r := range h.receipts { // in the order of seqs
		place := placeOf{r.UserID, r.ConversationID}
		m := all[place]
		m.ConversationID, m.UserID, m.ReadHidden = r.ConversationID, r.UserID, h.hidden[r.UserID]
		if r.Kind == "read" {
			m.ReadSeq, m.ReadAt, m.ReadMoved = r.Seq, r.At, r.Stamp > since
		} else {
			m.DeliveredSeq, m.DeliveredAt = r.Seq, r.At
			shown[place] = r.Stamp > since
		}
		m.OnlyHidden = m.ReadHidden && !shown[place]
		m.Stamp = max(m.Stamp, r.Stamp)
		all[place], stamps[place] = m, m.Stamp
	}
	maps.DeleteFunc(all, func(p placeOf, _ store.WatermarkMove) bool { return stamps[p] <= since || !wanted(p.conversation) })
	return all
}

// caughtUpTo is how far a user has got where they are now by a catch-up:
// nothing of a stretch that began later.
func (h *history) caughtUpTo(user store.ID, c store.CaughtUp) map[store.ID]int64 {
	got := make(map[store.ID]int64)
	for id, log := range h.logs {
		slot := h.slots[placeOf{user, id}]
		if latest := log.latest(user); latest == nil || latest.ToSeq != 0 || slot > c.Slot {
			continue
		}
		for _, e := range log.events {
			given := slices.ContainsFunc(log.stretches[user], func(s modelStretch) bool { return s.joined <= c.Until && s.holds(e.Seq) })
			if e.Stamp > c.Since && e.Stamp <= c.Until && given && (slot < c.Slot || e.Seq <= c.Seq) {
				got[id] = e.Seq
			}
		}
	}
	return got
}

// closedStamp waits until everything is closed, and returns the closed stamp.
func (w *world) closedStamp() int64 {
	w.Helper()
	w.closed()
	_, closed, err := w.backend.Horizon(context.Background())
	w.must(err)
	return closed
}
