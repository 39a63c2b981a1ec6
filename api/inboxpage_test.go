package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"holdline/internal/testdb"
	"holdline/poller"
	"holdline/store"
)

func TestInboxOneEventAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	var groups []string
	for range 3 {
		groups = append(groups, w.group(ann, "bob").Id)
	}
	for n := range 4 {
		for _, c := range groups {
			w.send(ann, c, fmt.Sprint(n), "text") // 2 to 5
		}
	}
	d := w.deviceOf(bob, false)
	first := w.inbox(bob, "?from=start&limit=1")
	d.takePage(&first)
	for pages, more := 1, first.More; more; pages++ {
		page := d.poll("&limit=1")
		more = page.More
		// A mark of what an earlier answer gave may come late, and say more once again.
		wanted := 1
		if pages > 14 {
			wanted = 0
		}
		if len(page.Events) != wanted || pages < 14 && !more || pages > 16 {
			t.Fatalf("page %d: %d events, more %v", pages, len(page.Events), more)
		}
	}
	for _, c := range groups {
		if d.seqs(c) != "1 2 3 4 5" {
			t.Errorf("%s", d.seqs(c))
		}
	}
	// Live, without a look at the database in between.
	s := w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	live := d.fork()
	for n := range 3 {
		for _, c := range groups {
			w.send(ann, c, fmt.Sprint("live", n), "text") // 6 to 8
		}
	}
	for live.has(groups[0]) < 8 || live.has(groups[1]) < 8 || live.has(groups[2]) < 8 {
		live.follow(s)
	}
	d.drain("&limit=1")
	for _, c := range groups {
		if d.seqs(c) != "1 2 3 4 5 6 7 8" || live.seqs(c) != d.seqs(c) {
			t.Errorf("%s; live %s", d.seqs(c), live.seqs(c))
		}
	}
}

func TestInboxPagesEndAtAboutAMegabyte(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	text := strings.Repeat("x", store.MaxTextBytes)
	var groups []string
	for range 4 {
		c := w.group(ann, "bob").Id
		groups = append(groups, c)
		for n := range 25 {
			w.send(ann, c, fmt.Sprint(n), text) // 2 to 26
		}
	}
	a := w.must(200, request{method: "GET", path: "/v1/inbox?from=start&limit=1000", token: bob.Token}, nil)
	var page InboxPage
	fromJSON(t, string(a.body), &page)
	if len(a.body) > 1<<20+1<<18 || len(page.Events) < 40 || !page.More {
		t.Fatalf("%d bytes, %d events, more %v", len(a.body), len(page.Events), page.More)
	}
	d := w.deviceOf(bob, false)
	d.takePage(&page)
	for more := true; more; {
		a := w.must(200, request{method: "GET", path: "/v1/inbox?limit=1000&cursor=" + d.cursor, token: bob.Token}, &page)
		if len(a.body) > 1<<20+1<<17 {
			t.Errorf("a page of %d bytes", len(a.body))
		}
		d.takePage(&page)
		more = page.More
	}
	for _, c := range groups {
		d.agrees(c)
	}
}

// More conversations move at once than one cursor can name. What does not fit
// waits until the horizon has moved; the cursors stay short, and nothing is
// left out.
func TestInboxOfManyThatMoveAtOnce(t *testing.T) {
	churn := func(t *testing.T, w *world, conversations, rounds int) {
		ann, bob := w.signUp("ann"), w.signUp("bob")
		ids := w.joinMany(t, ann, "bob", conversations)
		d := w.connect(bob, "start")
		for d.poll("&limit=1000").More {
		}
		s := w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
		live := d.fork()
		var sending sync.WaitGroup
		for k := range 4 {
			sending.Go(func() {
				for n := range rounds {
					for i := k; i < len(ids); i += 4 {
						w.send(ann, ids[i].String(), fmt.Sprint(n), "text")
					}
				}
			})
		}
		all := func(d *device) func() bool {
			return func() bool {
				for _, id := range ids {
					if d.has(id.String()) < int64(1+rounds) {
						return false
					}
				}
				return true
			}
		}
		for !all(live)() {
			live.follow(s)
		}
		sending.Wait()
		// One that takes little at a time, and one that was away all along.
		d.until("everything, by pages", all(d))
		for range 2 { // what was waiting to be seen has been seen: there is no more
			if page := d.poll(""); len(page.Events) > 0 || page.More {
				t.Errorf("behind everything: %+v", page)
			}
		}
		for _, id := range ids[:20] {
			d.agrees(id.String())
			live.agrees(id.String())
		}
	}
	t.Run("sqlite", func(t *testing.T) { churn(t, newWorld(t, nil), 150, 3) })
	t.Run("postgres", func(t *testing.T) {
		w, _ := newNode(t, openPostgres(t, testdb.Postgres(t)), poller.Options{}, nil)
		churn(t, w, 100, 2)
	})
}
