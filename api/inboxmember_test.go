package api

import (
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/poller"
)

// slowSweep is so rare that nothing in a test can have waited for it.
var slowSweep = poller.Options{SweepInterval: time.Hour}

// pollAside polls on another goroutine, once the poll waits. The device is
// the poll's until the answer is taken.
func (d *device) pollAside(query string) <-chan InboxPage {
	d.t.Helper()
	before := d.poller.Stats().Waiting
	answer := make(chan InboxPage, 1)
	go func() { answer <- d.poll(query) }()
	d.waiting(before + 1)
	return answer
}

// Whatever makes a conversation appear wakes those who wait, without the sweep.
func TestInboxTellsOfNewConversationsAtOnce(t *testing.T) {
	w, _ := newNode(t, openSQLite(t, testdb.SQLite(t)), slowSweep, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	theirs := w.group(ann).Id
	w.send(ann, theirs, "1", "before bob") // 2
	d := w.connect(bob, "now")
	d.drain("")
	s := w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	other := d.fork()
	for name, appear := range map[string]func() (id, first string){
		"a group made with bob":  func() (string, string) { return w.group(ann, "bob").Id, "1" },
		"a group that bob makes": func() (string, string) { return w.group(bob, "ann").Id, "1" },
		"a direct one": func() (string, string) {
			var c Conversation
			w.must(201, request{method: "POST", path: "/v1/conversations", token: ann.Token, body: `{"kind":"direct","members":["bob"]}`}, &c)
			return c.Id, "1"
		},
		"bob is added": func() (string, string) { w.add(ann, theirs, "bob"); return theirs, "3" },
	} {
		answer := d.pollAside("&wait=30")
		id, first := appear()
		<-answer
		if d.seqs(id) != first {
			t.Errorf("%s: the poll was answered with %v", name, d.events)
		}
		for other.has(id) == 0 {
			other.follow(s)
		}
		if other.seqs(id) != first {
			t.Errorf("%s: the stream gave %s", name, other.seqs(id))
		}
		// And what is said there comes at once too.
		answer = d.pollAside("&wait=30")
		last := w.send(ann, id, "hello", "hello").Seq
		<-answer
		for other.has(id) < last {
			other.follow(s)
		}
		if d.has(id) != last {
			t.Errorf("%s: what is said does not come", name)
		}
	}
}

// The end of a membership is its last event: for who waits, and for who was away.
func TestInboxEndsWithTheRemoval(t *testing.T) {
	w, _ := newNode(t, openSQLite(t, testdb.SQLite(t)), slowSweep, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	removed, left, stays := w.group(ann, "bob").Id, w.group(ann, "bob").Id, w.group(ann, "bob").Id
	d := w.connect(bob, "start")
	d.drain("")
	away, unread := d.fork(), w.connect(bob, "now")
	s := w.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	streaming := d.fork()

	w.send(ann, removed, "1", "the last that bob may read") // 2
	d.until("2", func() bool { return d.has(removed) == 2 })
	answer := d.pollAside("&wait=30")
	w.remove(ann, removed, bob) // 3
	<-answer
	answer = d.pollAside("&wait=30")
	w.remove(bob, left, bob) // 2
	<-answer
	for _, c := range []string{removed, left} {
		w.send(ann, c, "late", "not for bob")
	}
	w.send(ann, stays, "1", "goes on")
	d.until("what goes on", func() bool { return d.has(stays) == 2 })
	for streaming.has(stays) < 2 || streaming.has(removed) < 3 || streaming.has(left) < 2 {
		streaming.follow(s)
	}
	away.drain("&limit=1")
	unread.drain("&limit=1")
	for name, o := range map[string]*device{"polling": d, "streaming": streaming, "away": away} {
		if o.seqs(removed) != "1 2 3" || o.seqs(left) != "1 2" || o.seqs(stays) != "1 2" {
			t.Errorf("%s: %s; %s; %s", name, o.seqs(removed), o.seqs(left), o.seqs(stays))
		}
		if e := o.events[removed]; e[len(e)-1].Action != "removed" {
			t.Errorf("%s: ends with %+v", name, e[len(e)-1])
		}
		if e := o.events[left]; e[len(e)-1].Action != "left" {
			t.Errorf("%s: ends with %+v", name, e[len(e)-1])
		}
	}
	if unread.has(removed) != 3 || unread.has(left) != 2 {
		t.Errorf("since now: %s; %s", unread.seqs(removed), unread.seqs(left))
	}
	// One that comes after it all was told nothing of either, and is told nothing.
	late := w.connect(bob, "now")
	w.send(ann, removed, "later", "not for bob")
	late.drain("")
	if len(late.shown) != 1 || len(late.events[removed])+len(late.events[left]) > 0 {
		t.Errorf("%v %v", late.shown, late.events)
	}
	// From the start there is everything up to the end.
	whole := w.connect(bob, "start")
	whole.drain("")
	if whole.seqs(removed) != "1 2 3" || whole.seqs(left) != "1 2" {
		t.Errorf("from the start: %s; %s", whole.seqs(removed), whole.seqs(left))
	}
}

func TestInboxOfAReturnedMember(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	joined := w.group(ann, "bob").Id
	var all Conversation
	w.must(201, request{method: "POST", path: "/v1/conversations", token: ann.Token, body: `{"kind":"group","members":["bob"],"history":"all"}`}, &all)
	d := w.connect(bob, "start")
	d.drain("")
	away := d.fork()
	for _, c := range []string{joined, all.Id} {
		w.remove(ann, c, bob)                   // 2
		w.send(ann, c, "1", "in bob's absence") // 3
		w.add(ann, c, "bob")                    // 4
		w.send(ann, c, "2", "back")             // 5
	}
	for name, o := range map[string]*device{"there": d, "away": away} {
		o.until("5", func() bool { return o.has(joined) == 5 && o.has(all.Id) == 5 })
		if o.seqs(joined) != "1 2 3-3 4 5" || o.seqs(all.Id) != "1 2 3 4 5" {
			t.Errorf("%s: %s; %s", name, o.seqs(joined), o.seqs(all.Id))
		}
		o.agrees(joined)
		o.agrees(all.Id)
	}
}
