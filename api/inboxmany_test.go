//go:build !race

package api

import (
	"fmt"
	"testing"

	"holdline/internal/testdb"
	"holdline/poller"
	"holdline/store"
)

// The tests of many conversations are run by `make test` apart from the others, without the race detector.

func TestManyConversationsInASnapshot(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	made := map[string]bool{}
	for _, id := range w.joinMany(t, ann, "bob", maxSnapshot+7) {
		made[id.String()] = true
	}
	page := w.inbox(bob, "")
	if len(page.Snapshot.Conversations) != maxSnapshot || !page.Snapshot.More || page.Snapshot.Next == "" {
		t.Fatalf("%d conversations, more %v, next %q", len(page.Snapshot.Conversations), page.Snapshot.More, page.Snapshot.Next)
	}
	var rest ConversationList
	w.must(200, request{method: "GET", path: "/v1/conversations?after=" + page.Snapshot.Next, token: bob.Token}, &rest)
	for _, c := range append(page.Snapshot.Conversations, rest.Conversations...) {
		if !made[c.Id] {
			t.Errorf("%s is listed twice, or is none of bob's", c.Id)
		}
		delete(made, c.Id)
	}
	if len(made) != 0 || rest.More {
		t.Errorf("%d are not listed", len(made))
	}
	// Those that the snapshot left out are followed all the same.
	c := rest.Conversations[len(rest.Conversations)-1].Id
	w.send(ann, c, "1", "hello") // 2
	d := w.deviceOf(bob, true)
	d.takePage(&page)
	d.until("what is said beyond the snapshot", func() bool { return d.has(c) == 2 })
}

// crowd puts a user into n conversations, each with its first event, by rows:
// making so many by calls takes minutes.
func crowd(t testing.TB, path string, user store.ID, n int) {
	t.Helper()
	db := rawSQLite(t, path)
	tx, err := db.Begin()
	must(t, err)
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := tx.Exec(query, args...)
		must(t, err)
	}
	var stamp, slot int64
	must(t, tx.QueryRow(`SELECT h, next_slot FROM horizon, users WHERE user_id = ?`, user).Scan(&stamp, &slot))
	exec(`UPDATE horizon SET h = h + 1, closed = h`)
	for i := range int64(n) {
		id := store.NewID()
		exec(`INSERT INTO conversations VALUES (?, 'group', '', 'joined', ?, 1, 1, 1, 1, ?)`, id, user, stamp)
		exec(`INSERT INTO members VALUES (?, ?, 1, 0, 1, 'owner')`, id, user)
		exec(`INSERT INTO memberships VALUES (?, ?, ?, 1, 0, 'owner', ?)`, user, id, slot+i, stamp)
		var extra []byte
		extra = fmt.Appendf(extra, `"kind":"group","members":["%s"]`, user)
		exec(`INSERT INTO events (conversation_id, seq, type, sender_id, accepted_at, stamp, extra) VALUES (?, 1, 'created', ?, 1, ?, ?)`, id, user, stamp, string(extra))
	}
	exec(`UPDATE users SET next_slot = ? WHERE user_id = ?`, slot+int64(n), user)
	must(t, tx.Commit())
}

// The number of conversations has no limit of its own; a snapshot lists the first 1,000.
func TestManyConversationsInAnInbox(t *testing.T) {
	const many = 10_001
	path := testdb.SQLite(t)
	w, _ := newNode(t, openSQLite(t, path), poller.Options{}, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	last := w.group(ann, "bob").Id
	crowd(t, path, mustID(t, bob.User.Id), many)
	d := w.connect(bob, "start")
	for d.poll("&limit=1000").More {
	}
	if len(d.events) != many+1 {
		t.Fatalf("%d conversations came", len(d.events))
	}
	w.send(ann, last, "1", "hello") // 2
	d.until("what is said in one of them", func() bool { return d.has(last) == 2 })
	s := w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	w.send(ann, last, "2", "live") // 3
	for d.has(last) < 3 {
		d.follow(s)
	}
	if now := w.connect(bob, "now"); len(now.shown) != maxSnapshot {
		t.Errorf("the snapshot shows %d", len(now.shown))
	}
}
