package api

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"holdline/internal/testdb"
	"holdline/poller"
	"holdline/store"
)

func TestInboxSnapshotIsTheListOfConversations(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	one, two := w.group(ann, "bob").Id, w.group(ann, "bob").Id
	w.send(ann, one, "1", "hello") // 2
	w.send(bob, two, "1", "mine")  // 2
	w.must(204, request{method: "POST", path: "/v1/acks", token: ann.Token, body: Acks{Read: Watermarks{two: 2}}}, nil)
	list := w.must(200, request{method: "GET", path: "/v1/conversations", token: bob.Token}, nil)
	var want ConversationList
	fromJSON(t, string(list.body), &want)
	for _, from := range []string{"", "?from=now", "?from=start"} {
		page := w.inbox(bob, from)
		if len(want.Conversations) != 2 || fmt.Sprintf("%+v", page.Snapshot.Conversations) != fmt.Sprintf("%+v", want.Conversations) || page.Snapshot.More || page.Snapshot.Next != "" {
			t.Errorf("%q: %+v, want %+v", from, page.Snapshot, want)
		}
		if r := page.Snapshot.Receipts; len(r) != 1 || r[0].ConversationId != two || r[0].UserId != ann.User.Id || r[0].ReadSeq != 2 || r[0].DeliveredSeq != 2 || r[0].ReadAt.IsZero() || r[0].DeliveredAt.IsZero() {
			t.Errorf("%q: receipts %+v", from, r)
		}
	}
	first := w.inbox(bob, "?from=start")
	if len(first.Events) != 4 || first.More {
		t.Errorf("from the start: %+v", first)
	}
	for _, e := range first.Events {
		if (e.ClientId != "") != (e.SenderId == bob.User.Id && e.Type == "message") {
			t.Errorf("client ids are for their own senders: %+v", e)
		}
	}
	if again := w.inbox(bob, "?cursor="+first.Cursor); len(again.Events) != 0 || len(again.Snapshot.Conversations) != 0 {
		t.Errorf("behind the start: %+v", again)
	}
}

func TestInboxOfSomebodyInNoConversation(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	a := w.must(200, request{method: "GET", path: "/v1/inbox", token: bob.Token}, nil)
	var page InboxPage
	fromJSON(t, string(a.body), &page)
	if want := `{"events":[],"receipts":[],"cursor":"` + page.Cursor + `","more":false,"snapshot":{"conversations":[],"more":false,"receipts":[]}}`; string(a.body) != want {
		t.Errorf("%s, want %s", a.body, want)
	}
	d := w.connect(bob, "now")
	c := w.group(ann, "bob").Id
	d.until("the first conversation", func() bool { return d.has(c) == 1 })
}

// Between the snapshot and what follows nothing is left out, however many send
// at that moment.
func TestInboxFirstConnectWhileOthersSend(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	var groups []string
	for range 5 {
		groups = append(groups, w.group(ann, "bob").Id)
	}
	var sending, reading sync.WaitGroup
	for k := range 3 {
		sending.Go(func() {
			for n := range 60 {
				w.send(ann, groups[(k+n)%len(groups)], fmt.Sprint(k, ".", n), "text")
			}
		})
	}
	devices := make([]*device, 12)
	for i := range devices {
		reading.Go(func() {
			d := w.connect(bob, []string{"now", "start"}[i%2])
			if i%4 < 2 {
				s := w.inboxStream(bob.Token, "?from="+[]string{"now", "start"}[i%2], nil)
				d = w.deviceOf(bob, i%2 == 0)
				for range 3 { // the snapshot, and two more
					d.follow(s)
				}
				s.close()
			}
			devices[i] = d
		})
	}
	sending.Wait()
	reading.Wait()
	for _, d := range devices {
		for _, c := range groups {
			head := w.events(bob, c, "?limit=1000").LastSeq
			d.until("all of "+c, func() bool { return max(d.has(c), d.shown[c]) >= head })
			d.agrees(c)
		}
	}
}

// joinMany makes n conversations in which the user is with one other, by the
// store alone.
func (w *world) joinMany(t testing.TB, owner account, handle string, n int) (ids []store.ID) {
	t.Helper()
	who, err := w.auth.Token(t.Context(), owner.Token)
	must(t, err)
	made := make([][]store.ID, 16)
	var work sync.WaitGroup
	for k := range made {
		work.Go(func() {
			for i := k; i < n; i += len(made) {
				c, _, err := w.store.CreateConversation(t.Context(), store.NewConversation{Actor: who.Actor(), Kind: store.KindGroup, Members: []string{handle}})
				if err != nil {
					t.Error(err)
					return
				}
				made[k] = append(made[k], c.ID)
			}
		})
	}
	work.Wait()
	return slices.Concat(made...)
}

func TestInboxSnapshotOfMoreThanAThousand(t *testing.T) {
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
func TestInboxOfTenThousandConversations(t *testing.T) {
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
