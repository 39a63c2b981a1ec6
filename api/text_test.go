package api

import (
	"net/http"
	"strings"
	"testing"
	"unicode"

	"holdline/internal/eventjson"
	"holdline/store"
)

func TestLines(t *testing.T) {
	e := store.Event{
		ConversationID: 1, Seq: 7, Type: store.EventMessage, SenderID: 62, AcceptedAt: 1_700_000_000_123,
		Text: "a\nb\tc\rd\\e\x1b[31mé\u2028\u202e\u0085\u00a0 😀",
	}
	const at = "2023-11-14T22:13:20.123Z"
	for _, c := range []struct {
		name  string
		event store.Event
		want  string
	}{
		{"message", e, "7\t" + at + "\tmessage\t00000000010\t" + `a\nb\tc\rd\\e\u001b[31mé\u2028\u202e\u0085` + "\u00a0 😀\n"},
		{"member", store.Event{ConversationID: 1, Seq: 8, Type: store.EventMember, SenderID: 62, SubjectID: 61, Action: store.MemberLeft, AcceptedAt: 1_700_000_000_123},
			"8\t" + at + "\tmember\t00000000010\tleft 0000000000z\n"},
		{"title", store.Event{ConversationID: 1, Seq: 9, Type: store.EventTitle, SenderID: 62, AcceptedAt: 1_700_000_000_123, Extra: `"title":"T\n"`},
			"9\t" + at + "\ttitle\t00000000010\tT\\n\n"},
		{"hidden", store.Event{ConversationID: 1, Seq: 10, ThroughSeq: 12, Type: store.EventHidden}, "12\t-\thidden\t-\t-\n"},
	} {
		got, err := appendLine(nil, eventjson.Append(nil, &c.event, true))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestWantsText(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "text/plain": true, "text/PLAIN; q=0.9": true, "text/html, text/plain": true,
		"application/json, text/plain, */*": false, "text/event-stream": false, "text/plain, */*; q=0.01": true,
	} {
		r := &http.Request{Header: http.Header{"Accept": {accept}}}
		if got := wantsText(r); got != want {
			t.Errorf("Accept %q: %v", accept, got)
		}
	}
}

// FuzzLine: a line stays one line of five fields, whatever the text.
func FuzzLine(f *testing.F) {
	f.Add("plain")
	f.Add("a\nb\r\t\x1b\\ \u2028\u202e\xff")
	f.Fuzz(func(t *testing.T, text string) {
		e := store.Event{ConversationID: 1, Seq: 1, Type: store.EventMessage, SenderID: 1, Text: text, AcceptedAt: 1}
		line, err := appendLine(nil, eventjson.Append(nil, &e, false))
		if err != nil {
			t.Fatal(err)
		}
		s := string(line)
		if strings.Count(s, "\n") != 1 || !strings.HasSuffix(s, "\n") || strings.Count(s, "\t") != 4 {
			t.Fatalf("line %q", s)
		}
		for _, r := range strings.TrimSuffix(s, "\n") {
			if r != '\t' && (unicode.IsControl(r) || r == '\u2028' || r == '\u2029') {
				t.Fatalf("%q holds %U", s, r)
			}
		}
	})
}
