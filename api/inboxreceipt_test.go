package api

import (
	"fmt"
	"testing"

	"holdline/store"
)

func (w *world) ack(who account, acks Acks) {
	w.t.Helper()
	w.must(204, request{method: "POST", path: "/v1/acks", token: who.Token, body: acks}, nil)
}

// showReadReceipts turns one's own read receipts on or off.
func (w *world) showReadReceipts(who account, on bool) {
	w.t.Helper()
	var me Me
	w.must(200, request{method: "PATCH", path: "/v1/me", token: who.Token, body: MePatch{ReadReceipts: on}}, &me)
	if me.ReadReceipts != on || me.User.Id != who.User.Id {
		w.t.Errorf("%+v", me)
	}
	w.must(200, request{method: "GET", path: "/v1/me", token: who.Token}, &me)
	if me.ReadReceipts != on {
		w.t.Errorf("remembered as %v", me.ReadReceipts)
	}
}

// receiptOf is what the device last heard of somebody in a conversation.
func (d *device) receiptOf(conversation string, who account) InboxReceipt {
	return d.receipts[[2]string{conversation, who.User.Id}]
}

func TestInboxReceiptsComeAtOnce(t *testing.T) {
	t.Parallel()
	w, ann, bob, c := newPair(t)
	w.send(ann, c, "1", "hello") // 2
	w.send(ann, c, "2", "hello") // 3
	d := w.connect(ann, "start")
	d.drain("")
	s := w.inboxStream(ann.Token, "?cursor="+d.cursor, nil)
	live := d.fork()
	for _, step := range []struct {
		acks            Acks
		delivered, read int64
	}{
		{Acks{Delivered: Watermarks{c: 2}}, 2, 0},
		{Acks{Read: Watermarks{c: 2}}, 2, 2},
		{Acks{Read: Watermarks{c: 3}}, 3, 3},
	} {
		w.ack(bob, step.acks)
		for _, o := range []*device{d, live} {
			for r := o.receiptOf(c, bob); r.DeliveredSeq != step.delivered || r.ReadSeq != step.read; r = o.receiptOf(c, bob) {
				if o == live {
					o.follow(s)
				} else {
					o.poll("&wait=30")
				}
			}
		}
		r := d.receiptOf(c, bob)
		if r.DeliveredAt.IsZero() || r.ReadAt.IsZero() != (step.read == 0) {
			t.Errorf("%+v", r)
		}
	}
}

// Those who were away get the latest of each, once they are back.
func TestInboxReceiptsWaitForThoseWhoAreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob, cat := w.signUp("ann"), w.signUp("bob"), w.signUp("cat")
	c, other := w.group(ann, "bob", "cat").Id, w.group(ann, "bob").Id
	for n := range 4 {
		w.send(ann, c, string(rune('a'+n)), "hello") // 2 to 5
	}
	d := w.connect(ann, "start")
	d.drain("")
	w.ack(bob, Acks{Read: Watermarks{c: 2}})
	w.ack(bob, Acks{Read: Watermarks{c: 4}})
	w.ack(cat, Acks{Delivered: Watermarks{c: 5}})
	w.ack(bob, Acks{Delivered: Watermarks{other: 1}})
	again := d.fork()
	page := d.poll("")
	seen := map[[2]string]int{}
	for _, r := range page.Receipts {
		seen[[2]string{r.ConversationId, r.UserId}]++
	}
	for key, n := range seen {
		if n > 1 {
			t.Errorf("%v came %d times in one answer", key, n)
		}
	}
	if r := d.receiptOf(c, bob); r.ReadSeq != 4 || r.DeliveredSeq != 4 {
		t.Errorf("bob: %+v", r)
	}
	if r := d.receiptOf(c, cat); r.ReadSeq != 0 || r.DeliveredSeq != 5 {
		t.Errorf("cat: %+v", r)
	}
	if r := d.receiptOf(other, bob); r.DeliveredSeq != 1 {
		t.Errorf("bob elsewhere: %+v", r)
	}
	s := w.inboxStream(ann.Token, "?cursor="+again.cursor, nil)
	for again.receiptOf(c, bob).ReadSeq != 4 || again.receiptOf(c, cat).DeliveredSeq != 5 || again.receiptOf(other, bob).DeliveredSeq != 1 {
		again.follow(s)
	}
	// A stranger to the other conversation hears nothing of it, nor one who has left.
	w.remove(bob, c, bob)
	w.ack(cat, Acks{Read: Watermarks{c: 5}})
	for who, hidden := range map[*account]string{&cat: other, &bob: c} {
		for _, r := range w.inbox(*who, "?from=start").Receipts {
			if r.ConversationId == hidden && (who == &cat || r.ReadSeq == 5) {
				t.Errorf("%s hears %+v", who.User.Handle, r)
			}
		}
	}
}

// What one has read on one device the others learn.
func TestInboxTellsOfOnesOwnReading(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	w.send(ann, c, "1", "hello") // 2
	tablet := w.connect(bob, "now")
	s := w.inboxStream(bob.Token, "?cursor="+tablet.cursor, nil)
	w.showReadReceipts(bob, false) // is for others
	w.ack(bob, Acks{Read: Watermarks{c: 2}})
	for tablet.receiptOf(c, bob).ReadSeq != 2 {
		tablet.follow(s)
	}
	if first := w.connect(bob, "now"); first.receiptOf(c, bob).ReadSeq != 2 {
		t.Errorf("a new device: %+v", first.receipts)
	}
}

func TestInboxHidesWhatOneReadsIfAsked(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	w.send(ann, c, "1", "hello") // 2
	d := w.connect(ann, "start")
	d.drain("")
	s := w.inboxStream(ann.Token, "?cursor="+d.cursor, nil)
	away := d.fork()
	w.showReadReceipts(bob, false)
	w.ack(bob, Acks{Read: Watermarks{c: 2}})
	w.ack(bob, Acks{Delivered: Watermarks{c: 2}})
	for d.receiptOf(c, bob).DeliveredSeq != 2 {
		d.follow(s)
	}
	away.drain("")
	first := w.connect(ann, "now")
	for name, o := range map[string]*device{"live": d, "away": away, "new": first} {
		if r := o.receiptOf(c, bob); r.DeliveredSeq != 2 || r.DeliveredAt.IsZero() || r.ReadSeq != 0 || !r.ReadAt.IsZero() {
			t.Errorf("%s: %+v", name, r)
		}
	}
	var receipts Receipts
	w.must(200, request{method: "GET", path: "/v1/conversations/" + c + "/messages/2/receipts", token: ann.Token}, &receipts)
	if receipts.ReadCount != 0 || receipts.DeliveredCount != 1 || !receipts.Members[0].ReadAt.IsZero() {
		t.Errorf("%+v", receipts)
	}
	w.showReadReceipts(bob, true)
	if shown := w.connect(ann, "now").receiptOf(c, bob); shown.ReadSeq != 2 {
		t.Errorf("turned on again: %+v", shown)
	}
}

// Above 256 members receipts are counts, and an inbox has none.
func TestInboxHasNoReceiptsOfLargeGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c, small := w.group(ann, "bob").Id, w.group(ann, "bob").Id
	who, err := w.auth.Token(t.Context(), ann.Token)
	must(t, err)
	var handles []string
	for i := range store.MaxReceiptMembers - 1 {
		handle := "member" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		_, err := w.store.CreateUser(t.Context(), store.NewUser{Handle: handle, DisplayName: handle, Role: store.RoleUser})
		must(t, err)
		handles = append(handles, handle)
	}
	_, err = w.store.AddMembers(t.Context(), who.Actor(), mustID(t, c), handles)
	must(t, err)
	d := w.connect(ann, "start")
	for d.poll("&limit=1000").More {
	}
	away := d.fork()
	s := w.inboxStream(ann.Token, "?cursor="+d.cursor, nil)
	w.ack(bob, Acks{Read: Watermarks{c: 1, small: 1}})
	for d.receiptOf(small, bob).ReadSeq != 1 {
		d.follow(s)
	}
	away.drain("")
	for name, o := range map[string]*device{"live": d, "away": away, "new": w.connect(ann, "now")} {
		if o.receiptOf(small, bob).ReadSeq != 1 || o.receiptOf(c, bob) != (InboxReceipt{}) {
			t.Errorf("%s: %+v", name, o.receipts)
		}
	}
}

// Events can wait for the next page, receipts cannot: what fits beside one event
// is not left out for the sake of others.
func TestInboxReceiptsAreNotCrowdedOutByEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	for _, form := range []string{"", "&compact=1"} {
		d := w.connect(ann, "start")
		d.drain("")
		var last int64
		for n := range 40 {
			last = w.send(bob, c, fmt.Sprint(form, n), "hello").Seq
		}
		w.ack(bob, Acks{Read: Watermarks{c: last}})
		for {
			page := d.poll("&max_bytes=1200" + form)
			if page.Truncated {
				t.Errorf("%q: receipts are left out beside %d events", form, len(page.Events))
			}
			if !page.More {
				break
			}
		}
		if r := d.receiptOf(c, bob); r.ReadSeq != last {
			t.Errorf("%q: in the end %+v, which is %d", form, r, last)
		}
	}
}

// Somebody who hides what they read, or shows it again, is heeded at once, whatever
// the server has told of them a moment ago.
func TestInboxReceiptsHideAndShowFromNowOn(t *testing.T) {
	t.Parallel()
	w, ann, bob, c := newPair(t)
	w.send(ann, c, "1", "hello") // 2
	d := w.connect(ann, "start")
	w.ack(bob, Acks{Read: Watermarks{c: 2}})
	d.until("the receipt", func() bool { return d.receiptOf(c, bob).ReadSeq == 2 })
	w.showReadReceipts(bob, false)
	page := w.inbox(ann, "?from=start")
	if len(page.Receipts) != 1 || len(page.Snapshot.Receipts) != 1 {
		t.Fatalf("%+v %+v", page.Receipts, page.Snapshot.Receipts)
	}
	for _, r := range append(page.Receipts, page.Snapshot.Receipts...) {
		if r.DeliveredSeq != 2 || r.ReadSeq != 0 || !r.ReadAt.IsZero() {
			t.Errorf("ann is told %+v", r)
		}
	}
	own := w.inbox(bob, "?from=start")
	if len(own.Receipts) != 1 || own.Receipts[0].ReadSeq != 2 {
		t.Errorf("bob is told %+v", own.Receipts)
	}
	w.showReadReceipts(bob, true)
	if r := w.connect(ann, "start").receiptOf(c, bob); r.ReadSeq != 2 { // nor does it go back in one answer
		t.Errorf("shown again: %+v", r)
	}
}

// What moves while somebody catches up in small pages comes in the end, once,
// and not with each page in the place of events.
func TestInboxReceiptsDoNotSlowACatchUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	handles := []string{"bob", "cat", "dan", "eve"}
	var others []account
	for _, handle := range handles {
		others = append(others, w.signUp(handle))
	}
	c := w.group(ann, handles...).Id
	d := w.connect(ann, "start")
	d.drain("")
	var last int64
	for n := range 40 {
		last = w.send(others[0], c, fmt.Sprint(n), "hello").Seq
	}
	d.poll("&max_bytes=1200")
	for _, o := range others {
		w.ack(o, Acks{Read: Watermarks{c: last}})
	}
	receipts := 0
	for {
		page := d.poll("&max_bytes=1200")
		if page.Truncated || len(page.Events) == 1 && d.has(c) < last {
			t.Errorf("a page of %d events up to %d, and %d receipts; truncated: %v", len(page.Events), d.has(c), len(page.Receipts), page.Truncated)
		}
		if receipts += len(page.Receipts); len(page.Events)+len(page.Receipts) == 0 {
			break
		}
	}
	for _, o := range others {
		if d.receiptOf(c, o).ReadSeq != last {
			t.Errorf("of %s: %+v", o.User.Handle, d.receiptOf(c, o))
		}
	}
	if d.has(c) != last || receipts != len(others) {
		t.Errorf("events up to %d of %d, %d receipts", d.has(c), last, receipts)
	}
}
