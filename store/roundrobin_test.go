package store

import (
	"slices"
	"testing"
)

// A long queue is shared out: every conversation gets its turn, and the order
// of arrival within each stays.
func TestRoundRobin(t *testing.T) {
	var queue []*pending
	add := func(conversation ID, n int) {
		for range n {
			queue = append(queue, &pending{Append: Append{Send: Send{ConversationID: conversation, ReplyTo: int64(len(queue))}}})
		}
	}
	add(1, 100)
	add(2, 3)
	add(3, 1)
	taken, rest := roundRobin(queue, 10)
	if len(taken) != 10 || len(rest) != len(queue)-10 {
		t.Fatalf("took %d of %d, left %d", len(taken), len(queue), len(rest))
	}
	count := map[ID]int{}
	for _, p := range taken {
		count[p.Send.ConversationID]++
	}
	if count[1] != 6 || count[2] != 3 || count[3] != 1 {
		t.Errorf("taken by conversation: %v", count)
	}
	for _, part := range [][]*pending{taken, rest} {
		if !slices.IsSortedFunc(part, func(a, b *pending) int { return int(a.Send.ReplyTo - b.Send.ReplyTo) }) {
			t.Error("the order of arrival is lost")
		}
	}
}
