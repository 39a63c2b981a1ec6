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
