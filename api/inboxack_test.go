package api

import (
	"testing"

	"holdline/internal/testdb"
	"holdline/poller"
)

// Handing back a cursor says that what it covers has arrived, and nothing of
// what the answer brings that it has not come with yet.
func TestInboxCursorsAcknowledgeDelivery(t *testing.T) {
	t.Parallel()
	try := func(t *testing.T, w *world) {
		ann, bob := w.signUp("ann"), w.signUp("bob")
		c, other := w.group(ann, "bob").Id, w.group(ann, "bob").Id
		delivered := func(conversation string) int64 {
			var v Conversation
			w.must(200, request{method: "GET", path: "/v1/conversations/" + conversation, token: bob.Token}, &v)
			if v.ReadSeq != 0 {
				t.Errorf("read to %d, and nobody said so", v.ReadSeq)
			}
			return v.DeliveredSeq
		}
		reaches := func(what string, n int64) {
			t.Helper()
			eventually(t, what, func() bool { return delivered(c) >= n })
			if got := delivered(c); got != n {
				t.Errorf("%s: delivered to %d, want %d", what, got, n)
			}
		}
		w.send(ann, c, "1", "hello") // 2
		w.send(ann, c, "2", "hello") // 3
		d := w.deviceOf(bob, false)
		first := w.inbox(bob, "?from=start&limit=1")
		d.takePage(&first)
		// One at a time; what comes of the other conversation is in between, or not.
		for d.has(c) < 3 { // the cursor handed back last covers 2
			if d.poll("&limit=1"); t.Failed() {
				return
			}
		}
		reaches("the cursor before the last", 2)
		d.poll("&limit=1")
		reaches("the last cursor", 3)
		w.send(ann, c, "3", "hello") // 4
		s := w.inboxStream("", "?ticket="+w.ticket(bob)+"&cursor="+d.cursor, nil)
		for d.has(c) < 4 {
			d.follow(s)
		}
		s.close()
		reaches("what was streamed and not handed back", 3)
		w.inboxStream("", "?ticket="+w.ticket(bob), map[string]string{"Last-Event-ID": d.cursor})
		reaches("the id that came back with a ticket", 4)
		s = w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
		_, err := s.next()
		must(t, err)
		w.send(ann, c, "live", "hello") // 5
		for d.has(c) < 5 {
			d.follow(s)
		}
		s.close()
		reaches("what came live and was not handed back", 4)
		d.poll("")
		reaches("the cursor of what came live", 5)
		w.inbox(bob, "") // a first connect acknowledges nothing
		w.inbox(bob, "?from=start")
		w.send(ann, other, "1", "hello") // 2
		w.inbox(bob, "")
		w.send(ann, c, "4", "hello") // 6
		d.drain("")
		d.poll("")
		reaches("the end", 6)
		eventually(t, "the other too", func() bool { return delivered(other) == 2 })
	}
	t.Run("sqlite", func(t *testing.T) { try(t, newWorld(t, nil)) })
	t.Run("postgres", func(t *testing.T) {
		w, _ := newNode(t, openPostgres(t, testdb.Postgres(t)), poller.Options{}, nil)
		try(t, w)
	})
}
