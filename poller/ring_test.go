package poller

import (
	"math/rand/v2"
	"testing"

	"holdline/store"
)

func entryOf(seq int64, text int) *entry {
	e := store.Event{ConversationID: conv, Seq: seq, Type: store.EventMessage, SenderID: alice, Text: string(make([]byte, text))}
	return encode(&e, "e")
}

// TestRing compares the ring with what it should hold, and counts what its
// array keeps alive.
func TestRing(t *testing.T) {
	const maxEvents, maxBytes = 100, 50_000
	random := rand.New(rand.NewPCG(5, 6))
	var r ring
	held, size := 0, 10
	var seen []view
	for seq := int64(1); seq <= 20_000; seq++ {
		if seq%500 == 0 { // many small ones, then large ones
			size = []int{10, 100, 1000, 10_000}[random.IntN(4)]
		}
		held += r.add(entryOf(seq, random.IntN(size)), maxEvents, maxBytes)
		v := view{head: seq, entries: r.entries}
		bytes := 0
		for i, e := range v.entries {
			if e.seq != v.first()+int64(i) {
				t.Fatalf("seq %d at %d of a view from %d", e.seq, i, v.first())
			}
			bytes += e.size()
		}
		if n := len(v.entries); n == 0 || n > maxEvents || n > 1 && bytes > maxBytes || bytes != r.bytes {
			t.Fatalf("%d events, %d bytes, counted %d", n, bytes, r.bytes)
		}
		if held != r.bytes+r.staleBytes || r.staleBytes > maxBytes/2 || r.stale > len(r.entries)+16 {
			t.Fatalf("%d bytes said to be held, %d are; %d events of %d bytes are stale", held, r.bytes+r.staleBytes, r.stale, r.staleBytes)
		}
		if seen = append(seen, v); len(seen) > 200 { // an old view has not changed
			old := seen[0]
			for i, e := range old.entries {
				if e.seq != old.first()+int64(i) {
					t.Fatalf("a view from %d has changed", old.first())
				}
			}
			seen = seen[1:]
		}
	}
	if freed := r.clear(); freed != held || len(r.entries) != 0 {
		t.Fatalf("%d bytes freed of %d", freed, held)
	}
}
