package holdline_test

import (
	"net/http"
	"slices"
	"testing"

	holdline "holdline/sdk/go"
)

// The first page of a polled inbox has a snapshot and events. The snapshot comes first, so it must not be given the cursor behind
// the events: an application that kept that and went on from it would never get them.
func TestTheFirstPageOfAPolledInbox(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		p := holdline.InboxPage{Cursor: "new", Events: []holdline.Event{}, Receipts: []holdline.InboxReceipt{}}
		if n == 0 {
			p.Events = []holdline.Event{entry(1), entry(2)}
			p.Snapshot = holdline.InboxSnapshot{Conversations: []holdline.Conversation{{Id: cid, LastSeq: 2}}}
		}
		says(w, http.StatusOK, p)
	})
	var cursors []string
	got, err := follow(t, c, holdline.FollowOptions{FromStart: true, Transport: holdline.LongPoll}, func(_ []string, u holdline.Update) bool {
		cursors = append(cursors, u.Cursor)
		return u.CompleteTo == 2
	})
	expect(t, got, err, "snapshot", "message 1", "message 2")
	if want := []string{"", "", "new"}; !slices.Equal(cursors, want) {
		t.Errorf("cursors %q instead of %q", cursors, want)
	}
}

// Receipts alone keep no cursor back: the snapshot has them, so who keeps its cursor and stops there misses none.
func TestTheFirstPageOfReceiptsAlone(t *testing.T) {
	t.Parallel()
	old := []holdline.InboxReceipt{{ConversationId: cid, UserId: "u", ReadSeq: 1}, {ConversationId: cid, UserId: "v", ReadSeq: 1}}
	moved := []holdline.InboxReceipt{{ConversationId: cid, UserId: "v", ReadSeq: 2}, {ConversationId: cid, UserId: "w", ReadSeq: 2}}
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		says(w, http.StatusOK, holdline.InboxPage{
			Cursor: "new", Events: []holdline.Event{}, Receipts: moved,
			Snapshot: holdline.InboxSnapshot{Conversations: []holdline.Conversation{{Id: cid, LastSeq: 2}}, Receipts: old},
		})
	})
	var cursors []string
	var shown []holdline.InboxReceipt
	got, err := follow(t, c, holdline.FollowOptions{Transport: holdline.LongPoll}, func(all []string, u holdline.Update) bool {
		cursors = append(cursors, u.Cursor)
		if u.Snapshot != nil {
			shown = u.Snapshot.Receipts
		}
		return len(all) == 3
	})
	expect(t, got, err, "snapshot", "receipt", "receipt")
	if want := []string{"new", "new", "new"}; !slices.Equal(cursors, want) {
		t.Errorf("cursors %q instead of %q", cursors, want)
	}
	if want := []holdline.InboxReceipt{old[0], moved[0], moved[1]}; !slices.Equal(shown, want) {
		t.Errorf("the snapshot shows %+v", shown)
	}
}
