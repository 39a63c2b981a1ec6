package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"holdline/internal/torture/history"
)

// differs says in what got is not want; empty if they are the same. Whose
// client_id is shown to whom, and Conversation, are not looked at. Lines of text
// do not carry everything.
func differs(want, got *history.Event, text bool) string {
	var wrong []string
	compare := func(what, want, got string) {
		if want != got {
			wrong = append(wrong, fmt.Sprintf("%s %q instead of %q", what, got, want))
		}
	}
	compare("seq", strconv.FormatInt(want.Seq, 10), strconv.FormatInt(got.Seq, 10))
	compare("type", want.Type, got.Type)
	compare("accepted_at", want.AcceptedAt, got.AcceptedAt)
	compare("sender", want.Sender, got.Sender)
	compare("text", want.Text, got.Text)
	compare("user", want.User, got.User)
	compare("action", want.Action, got.Action)
	if !text || want.Type == "title" {
		compare("title", want.Title, got.Title)
	}
	if !text {
		compare("reply_to", strconv.FormatInt(want.ReplyTo, 10), strconv.FormatInt(got.ReplyTo, 10))
		compare("role", want.Role, got.Role)
		compare("kind", want.Kind, got.Kind)
		if !sameMembers(want.Members, got.Members) {
			wrong = append(wrong, fmt.Sprintf("members %v instead of %v", got.Members, want.Members))
		}
	}
	return strings.Join(wrong, ", ")
}

func sameMembers(a, b []string) bool {
	if slices.Equal(a, b) {
		return true
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// describe writes an event for a person.
func describe(e *history.Event) string {
	s := fmt.Sprintf("seq %d %s", e.Seq, e.Type)
	switch e.Type {
	case "hidden":
		if e.Through > e.Seq {
			s = fmt.Sprintf("seq %d to %d hidden", e.Seq, e.Through)
		}
	case "message":
		s += fmt.Sprintf(" %q of %s", e.Text, e.Sender)
	case "member":
		s += fmt.Sprintf(" %s %s by %s", e.User, e.Action, e.Sender)
	case "title":
		s += fmt.Sprintf(" %q by %s", e.Title, e.Sender)
	case "created":
		s += fmt.Sprintf(" with %v", e.Members)
	}
	return s
}

// seqs writes some seqs for a person.
func seqs(all []int64) string {
	if len(all) == 1 {
		return fmt.Sprintf("seq %d", all[0])
	}
	if len(all) > 6 {
		return fmt.Sprintf("seqs %v and %d more", all[:6], len(all)-6)
	}
	return fmt.Sprintf("seqs %v", all)
}
