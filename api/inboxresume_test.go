package api

import (
	"fmt"
	"testing"
)

// A scan that stopped in a late slot goes on without leaving out what was said
// meanwhile in an early one.
func TestInboxResumedScanKeepsEarlierSlots(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	early, late := w.group(ann, "bob").Id, w.group(ann, "bob").Id
	d := w.connect(bob, "start")
	d.drain("")
	w.send(ann, early, "1", "early") // 2
	w.send(ann, late, "1", "late")   // 2
	w.send(ann, late, "2", "late")   // 3
	d.poll("&limit=2")               // stops in the middle of late
	if d.has(early) != 2 || d.has(late) != 2 {
		t.Fatalf("%s, %s", d.seqs(early), d.seqs(late))
	}
	w.send(ann, early, "2", "meanwhile") // 3
	sweeps := w.poller.Stats().Sweeps
	eventually(t, "the sweep has passed", func() bool { return w.poller.Stats().Sweeps >= sweeps+2 })
	s := d.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	for d.has(late) < 3 {
		d.follow(s)
	}
	for n := range int64(2) { // the second one's cursor has a T that passes what the sweep closed
		w.send(ann, late, fmt.Sprint(3+n), "late") // 4, 5
		for d.has(late) < 4+n {
			d.follow(s)
		}
	}
	s.close()
	d.until("early 3", func() bool { return d.has(early) == 3 })
	d.agrees(early)
	d.agrees(late)
}
