package poller

import (
	"math/rand/v2"
	"slices"
	"testing"

	"holdline/store"
)

var cursorCodec = inboxCodec{key: []byte("a key of this test"), user: 7, epoch: "k7q"}

// randomPlace is a place whose exceptions were let in as Inbox.room lets them in.
func randomPlace(r *rand.Rand, conversations int) (pl inboxPlace, refused int) {
	pl.t = r.Int64N(1 << (1 + r.IntN(41)))
	for range conversations {
		past := r.Int64N(1 << (1 + r.IntN(30)))
		e := exception{slot: r.Int64N(1 << (1 + r.IntN(20))), seq: past + r.Int64N(1<<30), past: past, stamp: pl.t + 1}
		if pl.scanSize(e) > maxCursorBytes {
			refused++
			continue
		}
		pl.set(e)
	}
	if r.IntN(2) == 0 {
		pl.t1, pl.slot, pl.seq = pl.t+1+r.Int64N(1<<30), r.Int64N(endSlot+1), r.Int64N(1<<40)
	}
	return pl, refused
}

// Whatever was let in fits the bound, and comes back as it was.
func TestInboxCursorHoldsItsPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	longest, full := 0, 0
	for range 5000 {
		pl, refused := randomPlace(r, r.IntN(120))
		text := string(cursorCodec.append(nil, &pl))
		longest = max(longest, len(text))
		if refused > 0 {
			full++
		}
		got, fault := cursorCodec.parse(text)
		if fault != cursorRight {
			t.Fatalf("%+v came back as fault %d", pl, fault)
		}
		if got.t != pl.t || got.t1 != pl.t1 || got.slot != pl.slot || got.seq != pl.seq || len(got.named) != len(pl.exceptions) {
			t.Fatalf("%+v came back as %+v", pl, got)
		}
		for i, e := range pl.exceptions {
			n := got.named[i]
			if n.Slot != e.slot || n.Low != e.seq%(1<<n.Bits) || e.past >= 1<<n.Bits {
				t.Fatalf("%+v is named %+v", e, n)
			}
		}
	}
	if longest > 128 || longest < 120 || full < 500 {
		t.Errorf("the longest of the cursors has %d characters, %d were full", longest, full)
	}
}

// What anybody has touched is refused, and so is another's.
func TestInboxCursorIsSealed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		pl, _ := randomPlace(r, 1+r.IntN(20))
		text := cursorCodec.append(nil, &pl)
		for i := range text {
			for _, c := range []byte("AB_z") {
				changed := slices.Clone(text)
				if changed[i] == c {
					continue
				}
				changed[i] = c
				if _, fault := cursorCodec.parse(string(changed)); fault == cursorRight {
					t.Fatalf("%s was taken for %s", changed, text)
				}
			}
			if _, fault := cursorCodec.parse(string(text[:i])); fault != cursorForged {
				t.Fatalf("%s, cut to %d characters: fault %d", text, i, fault)
			}
		}
		other := cursorCodec
		other.user++
		if _, fault := other.parse(string(text)); fault != cursorForged {
			t.Fatalf("another user's: fault %d", fault)
		}
		other = cursorCodec
		other.key = []byte("another key")
		if _, fault := other.parse(string(text)); fault != cursorForged {
			t.Fatalf("another key's: fault %d", fault)
		}
		other = cursorCodec
		other.epoch = "zzz"
		if _, fault := other.parse(string(text)); fault != cursorOfOtherEpoch {
			t.Fatalf("another epoch's: fault %d", fault)
		}
	}
}

// Exceptions vanish when T reaches their stamps, and not before.
func TestInboxPlaceAdvances(t *testing.T) {
	pl := inboxPlace{t: 10, t1: 20, slot: 3, seq: 4}
	for slot, stamp := range map[int64]int64{1: 15, 5: 20, 9: 21} {
		pl.set(exception{slot: slot, seq: slot, stamp: stamp})
	}
	pl.advance(20)
	if pl.t != 20 || pl.t1 != 0 || pl.slot != 0 || pl.seq != 0 || len(pl.exceptions) != 1 || pl.exceptions[0].slot != 9 {
		t.Errorf("%+v", pl)
	}
}

// FuzzInboxCursor: nothing that is no cursor of ours is taken, or does harm.
func FuzzInboxCursor(f *testing.F) {
	pl := inboxPlace{t: 300, exceptions: []exception{{slot: 2, seq: 1000, past: 200}, {slot: 400, seq: 3, past: 3}}}
	f.Add(string(cursorCodec.append(nil, &pl)))
	pl.t1, pl.slot, pl.seq = 400, 7, 99
	f.Add(string(cursorCodec.append(nil, &pl)))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		got, fault := cursorCodec.parse(text)
		if fault != cursorRight {
			return
		}
		// Whoever finds one has either been given it, or broken HMAC-SHA256.
		back := got.inboxPlace
		for _, n := range got.named {
			past := int64(1)
			if n.Bits > 7 {
				past = 1 << (n.Bits - 7)
			}
			back.set(exception{slot: n.Slot, seq: n.Low, past: past})
		}
		if again := string(cursorCodec.append(nil, &back)); again != text {
			t.Errorf("%q came back as %q", text, again)
		}
	})
}

// A receipt that was read earlier but comes later gives way.
func TestReceiptsDoNotGoBack(t *testing.T) {
	var b receiptBook
	b.init()
	b.restart("k7q")
	move := func(delivered, read, stamp int64) *store.WatermarkMove {
		return &store.WatermarkMove{ConversationID: 1, UserID: 2, DeliveredSeq: delivered, ReadSeq: read, Stamp: stamp}
	}
	early := b.note(move(5, 3, 10), "k7q")
	late, news := b.tell(move(6, 3, 11), "k7q", true)
	if !news || late.delivered != 6 {
		t.Errorf("the later one: %+v, news %v", late, news)
	}
	if again := b.note(move(5, 3, 10), "k7q"); again != late {
		t.Errorf("the earlier one is told as %+v", again)
	}
	if b.newest(early) != late {
		t.Errorf("what had been read earlier is given as %+v", b.newest(early))
	}
	if _, news := b.tell(move(6, 3, 11), "k7q", true); news {
		t.Error("the same one is news again")
	}
	if hidden, news := b.tell(move(6, 3, 12), "k7q", true); !news || hidden.stamp != 12 {
		t.Errorf("one with a later stamp: %+v, news %v", hidden, news)
	}
	b.restart("zzz")
	if gone, _ := b.tell(move(7, 3, 13), "k7q", true); gone != nil {
		t.Errorf("one of an epoch that is over is told: %+v", gone)
	}
	b.note(move(7, 3, 13), "k7q")
	if fresh := b.note(move(4, 3, 9), "zzz"); fresh.delivered != 4 {
		t.Errorf("one of the new epoch gives way to %+v", fresh)
	}
}
