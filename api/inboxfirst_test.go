package api

import (
	"fmt"
	"slices"
	"sync"
	"testing"

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
	t.Parallel()
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
