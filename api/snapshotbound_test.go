package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// Somebody who was added to many large groups gets a snapshot of a size that a
// client can take, and is told where to go on.
func TestSnapshotIsBounded(t *testing.T) {
	receipt := jsonText(`{"x":"` + strings.Repeat("x", 160) + `"}`)
	for _, test := range []struct{ conversations, receipts int }{{1000, 0}, {300, 3}, {300, 60}, {1000, 255}} {
		v := &inboxSnapshot{Receipts: []jsonText{}}
		for n := range test.conversations {
			id := fmt.Sprintf("%011d", n)
			v.Conversations = append(v.Conversations, conversationView{Conversation: Conversation{Id: id}})
			for range test.receipts {
				v.Receipts, v.receiptsOf = append(v.Receipts, receipt), append(v.receiptsOf, id)
			}
		}
		text, err := v.marshal(0)
		must(t, err)
		var got struct {
			Conversations []any  `json:"conversations"`
			Receipts      []any  `json:"receipts"`
			More          bool   `json:"more"`
			Next          string `json:"next"`
		}
		must(t, json.Unmarshal(text, &got))
		fits := test.conversations*test.receipts*len(receipt) < maxSnapshotBytes/2
		switch n := len(got.Conversations); {
		case len(text) > maxSnapshotBytes, len(got.Receipts) != n*test.receipts:
			t.Errorf("%+v: %d bytes, %d conversations, %d receipts", test, len(text), n, len(got.Receipts))
		case fits && (n != test.conversations || got.More):
			t.Errorf("%+v: %d conversations, more: %v", test, n, got.More)
		case !fits && (n == test.conversations || len(text) < maxSnapshotBytes/2 || !got.More || got.Next != fmt.Sprintf("%011d", n-1)):
			t.Errorf("%+v: %d conversations in %d bytes, more: %v, next %q", test, n, len(text), got.More, got.Next)
		}
	}
}

// A snapshot lists what the list of conversations does, on a page as on a stream.
func TestSnapshotListsAsManyAsTheList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := longLast(w, 80)
	var list ConversationList
	w.must(200, request{method: "GET", path: "/v1/conversations?limit=1000", token: ann.Token}, &list)
	page := w.inbox(ann, "").Snapshot
	var streamed InboxSnapshot
	f := w.inboxStream(ann.Token, "", nil).must()
	must(t, json.Unmarshal([]byte(f.data), &streamed))
	for form, s := range map[string]InboxSnapshot{"page": page, "stream": streamed} {
		if len(s.Conversations) != len(list.Conversations) || s.More != list.More || s.Next != list.Next {
			t.Errorf("on a %s %d conversations, more: %v, next %q; the list has %d, %v, %q", form,
				len(s.Conversations), s.More, s.Next, len(list.Conversations), list.More, list.Next)
		}
	}
}
