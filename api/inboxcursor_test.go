package api

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/poller"
)

// decodeCursor is what a cursor holds: its form, three bytes of the epoch, the rest.
func decodeCursor(t testing.TB, cursor string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	must(t, err)
	return raw
}

// otherEpoch is a cursor as a server of another epoch would have made it.
func otherEpoch(t testing.TB, cursor string) string {
	t.Helper()
	raw := decodeCursor(t, cursor)
	raw[2] ^= 0xff
	return base64.RawURLEncoding.EncodeToString(raw)
}

// What is no cursor of the caller is refused, however little is wrong with it.
func TestInboxCursorsThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	var groups []string
	for range 6 {
		groups = append(groups, w.group(ann, "bob").Id)
	}
	d := w.connect(bob, "start")
	d.drain("")
	s := w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	for _, c := range groups {
		w.send(ann, c, "1", "hello")
		for d.has(c) < 2 {
			d.follow(s)
		}
	}
	s.close()
	good := d.cursor
	w.inbox(bob, "?cursor="+good)
	get := func(cursor string) request {
		return request{method: "GET", path: "/v1/inbox?cursor=" + cursor, token: bob.Token}
	}
	for n := 1; n < len(good); n++ {
		w.refused(get(good[:n]), 400, "invalid", "cursor")
	}
	w.refused(get(good+"A"), 400, "invalid", "cursor")
	w.refused(get(good+"AAAA"), 400, "invalid", "cursor")
	raw := decodeCursor(t, good)
	for bit := range 8 * len(raw) {
		changed := append([]byte{}, raw...)
		changed[bit/8] ^= 1 << (bit % 8)
		if at := bit / 8; at >= 1 && at <= 3 { // the epoch's
			w.refused(get(base64.RawURLEncoding.EncodeToString(changed)), 410, "cursor_reset", "cursor")
		} else {
			w.refused(get(base64.RawURLEncoding.EncodeToString(changed)), 400, "invalid", "cursor")
		}
	}
	// The bits behind the last byte are part of the text.
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, last := range digits {
		if other := good[:len(good)-1] + string(last); other != good {
			w.refused(get(other), 400, "invalid", "cursor")
		}
	}
	w.refused(request{method: "GET", path: "/v1/inbox?cursor=" + good, token: ann.Token}, 400, "invalid", "cursor")
	w.refused(request{method: "GET", path: "/v1/inbox/stream?cursor=" + good, token: ann.Token}, 400, "invalid", "cursor")
	if page := w.inbox(bob, "?cursor="+good); len(page.Events) > 0 {
		t.Errorf("the good one: %+v", page)
	}
}

// Everything of a restored database is another log: who waits is told too.
func TestInboxCursorsOfAnotherEpoch(t *testing.T) {
	path := testdb.SQLite(t)
	w, _ := newNode(t, openSQLite(t, path), poller.Options{SweepInterval: 50 * time.Millisecond}, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	d := w.connect(bob, "start")
	d.drain("")
	s := w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	got := make(chan answer, 1)
	go func() {
		got <- w.do(request{method: "GET", path: "/v1/inbox?wait=50&cursor=" + d.cursor, token: bob.Token})
	}()
	w.waiting(2)
	_, err := rawSQLite(t, path).Exec(`UPDATE meta SET value = 'other1' WHERE key = 'epoch'`)
	must(t, err)
	if a := <-got; a.status != 410 || a.problem(t).Code != "cursor_reset" || a.problem(t).Field != "cursor" {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.ended("reset", "cursor_reset", "Begin again")
	w.refused(request{method: "GET", path: "/v1/inbox?cursor=" + d.cursor, token: bob.Token}, 410, "cursor_reset", "cursor")
	w.inboxStream(bob.Token, "", map[string]string{"Last-Event-ID": d.cursor}).ended("reset", "cursor_reset", "Begin again")
	again := w.connect(bob, "now")
	w.send(ann, c, "1", "hello") // 2
	again.until("what comes after", func() bool { return again.has(c) == 2 })
}

// Whoever has left everything keeps a cursor that works, and gets nothing by it.
func TestInboxOfSomebodyWhoLeftEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	d := w.connect(bob, "start")
	w.remove(bob, c, bob) // 2
	d.until("the end", func() bool { return d.has(c) == 2 })
	w.send(ann, c, "1", "not for bob")
	for _, query := range []string{"", "&wait=1"} {
		if page := d.poll(query); len(page.Events) > 0 || page.More {
			t.Errorf("%+v", page)
		}
	}
	w.add(ann, c, "bob") // 4
	d.until("being back", func() bool { return d.has(c) == 4 })
	d.agrees(c)
}

// A text of as many characters as the contract allows is looked at; more is not.
func TestInboxCursorsAreAtMost128Characters(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	for _, n := range []int{128, 129, 5000} {
		w.refused(request{method: "GET", path: "/v1/inbox?cursor=" + strings.Repeat("A", n), token: ann.Token}, 400, "invalid", "cursor")
	}
}
