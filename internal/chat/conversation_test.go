package chat

import (
	"slices"
	"testing"
)

func TestTicks(t *testing.T) {
	t.Parallel()
	v := &Conversation{members: []string{"me", "a", "b"}, marks: map[string]marks{}}
	step := func(user string, m marks, short, words string) {
		t.Helper()
		if user != "" {
			v.note(user, m)
		}
		tick := v.tick(5, "me")
		if tick.short() != short || tick.words() != words {
			t.Errorf("%q, %q instead of %q, %q", tick.short(), tick.words(), short, words)
		}
	}
	step("", marks{}, "✓", "accepted")
	step("a", marks{delivered: 4}, "✓", "accepted")
	step("a", marks{delivered: 5}, "✓✓ 1/2", "delivered to 1 of 2")
	step("b", marks{delivered: 9}, "✓✓", "delivered")
	step("b", marks{read: 6}, "read 1/2", "read by 1 of 2")
	step("a", marks{delivered: 2, read: 1}, "read 1/2", "read by 1 of 2") // nothing goes back
	step("a", marks{read: 5}, "✓✓ read", "read")
	step("gone", marks{}, "✓✓ read", "read") // who left does not count
}

func TestMessagesAreInOrderAndOnce(t *testing.T) {
	t.Parallel()
	v := &Conversation{}
	for _, seq := range []int64{3, 1, 2, 3, 1, 5} {
		v.insert(Message{Seq: seq})
	}
	var got []int64
	for _, m := range v.messages {
		got = append(got, m.Seq)
	}
	if !slices.Equal(got, []int64{1, 2, 3, 5}) {
		t.Errorf("%d", got)
	}
}

func TestWordsOfACommand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		`group "Road trip" bob  cleo`: {"group", "Road trip", "bob", "cleo"},
		`group "" bob`:                {"group", "", "bob"},
		`a"b c"d`:                     {"ab cd"},
		` `:                           nil,
	} {
		if got, err := split(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	if _, err := split(`group "Road`); err == nil {
		t.Error("an open quote passes")
	}
}
