package eventjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"holdline/internal/eventjson"
	"holdline/store"
)

func TestWireForm(t *testing.T) {
	const conv, alice, bob = store.ID(1), store.ID(62), store.ID(3843)
	at := store.Millis(1_700_000_000_123)
	cases := []struct {
		name  string
		event store.Event
		own   bool
		want  string
	}{
		{"message", store.Event{ConversationID: conv, Seq: 7, Type: store.EventMessage, SenderID: alice, ClientID: "c-1", Text: "hi", AcceptedAt: at}, false,
			`{"conversation_id":"00000000001","seq":7,"type":"message","sender_id":"00000000010","text":"hi","accepted_at":"2023-11-14T22:13:20.123Z"}`},
		{"own reply", store.Event{ConversationID: conv, Seq: 8, Type: store.EventMessage, SenderID: alice, ClientID: `a"b`, Text: "", TargetSeq: 7, AcceptedAt: at}, true,
			`{"conversation_id":"00000000001","seq":8,"type":"message","client_id":"a\"b","sender_id":"00000000010","text":"","reply_to":7,"accepted_at":"2023-11-14T22:13:20.123Z"}`},
		{"member", store.Event{ConversationID: conv, Seq: 9, Type: store.EventMember, SenderID: alice, SubjectID: bob, Action: store.MemberRemoved, AcceptedAt: at}, false,
			`{"conversation_id":"00000000001","seq":9,"type":"member","sender_id":"00000000010","accepted_at":"2023-11-14T22:13:20.123Z","user_id":"000000000zz","action":"removed"}`},
		{"extra", store.Event{ConversationID: conv, Seq: 10, Type: store.EventTitle, SenderID: alice, AcceptedAt: at, Extra: "\"title\":\n\"x\""}, false,
			`{"conversation_id":"00000000001","seq":10,"type":"title","sender_id":"00000000010","accepted_at":"2023-11-14T22:13:20.123Z","title":"x"}`},
		{"hidden", store.Event{ConversationID: conv, Seq: 11, Type: store.EventHidden, ThroughSeq: 14}, true,
			`{"conversation_id":"00000000001","seq":11,"type":"hidden","through_seq":14}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := eventjson.Append([]byte("x"), &c.event, c.own)
			if string(got) != "x"+c.want {
				t.Fatalf("got  %s\nwant x%s", got, c.want)
			}
			if !json.Valid(got[1:]) {
				t.Fatal("not JSON")
			}
		})
	}
}

func TestSharedPlusPieceIsTheSendersForm(t *testing.T) {
	e := store.Event{ConversationID: 5, Seq: 1, Type: store.EventMessage, SenderID: 9, ClientID: "ü\n", Text: "t", AcceptedAt: 1}
	shared, at := eventjson.AppendShared([]byte("ab"), &e)
	if want := eventjson.Append([]byte("ab"), &e, false); !bytes.Equal(shared, want) {
		t.Fatalf("shared %s, want %s", shared, want)
	}
	own := append([]byte{}, shared[:at.Sender]...)
	own = eventjson.AppendClientID(own, e.ClientID)
	own = append(own, shared[at.Sender:]...)
	if want := eventjson.Append([]byte("ab"), &e, true); !bytes.Equal(own, want) {
		t.Fatalf("own %s, want %s", own, want)
	}
	for what, piece := range map[string][]byte{
		`"conversation_id":"00000000005",`:          shared[3 : 3+eventjson.ConversationLen],
		`,"type":"message"`:                         shared[at.Type : at.Sender-1],
		`"sender_id":"00000000009"`:                 shared[at.Sender : at.Sender+eventjson.SenderLen],
		`,"accepted_at":"1970-01-01T00:00:00.001Z"`: shared[at.Time : at.Time+eventjson.TimeLen],
	} {
		if string(piece) != what {
			t.Errorf("%s where %s should be", piece, what)
		}
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "a\nb\rc\td\b\f\x00\x1f\x7f", `q"\`, "\u2028\u2029\u00e9\U0001f600", "\xff\xfe", "é\xc3", " x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := eventjson.AppendString(nil, s)
		for _, c := range got {
			if c < ' ' {
				t.Fatalf("control character %#x in %q", c, got)
			}
		}
		if bytes.ContainsAny(got, "\u2028\u2029") {
			t.Fatalf("line separator in %q", got)
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		want := s
		if !utf8.ValidString(s) {
			want = string([]rune(s))
		}
		if back != want {
			t.Fatalf("got back %q, want %q", back, want)
		}
	})
}

func BenchmarkAppendShared(b *testing.B) {
	e := store.Event{ConversationID: store.NewID(), Seq: 12345, Type: store.EventMessage, SenderID: store.NewID(), ClientID: "0123456789abcdef",
		Text: strings.Repeat("The quick brown fox. ", 6), AcceptedAt: 1_700_000_000_123}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = eventjson.AppendShared(buf[:0], &e)
	}
}
