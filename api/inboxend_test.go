package api

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/poller"
)

// Somebody removed at one server is told at another, where their inbox waits.
func TestInboxEndsOnAnotherNode(t *testing.T) {
	t.Parallel()
	url := testdb.Postgres(t)
	o := poller.Options{SweepInterval: 50 * time.Millisecond}
	one, _ := newNode(t, openPostgres(t, url), o, nil)
	two, _ := newNode(t, openPostgres(t, url), o, nil)
	ann, bob := one.signUp("ann"), one.signUp("bob")
	c := one.group(ann, "bob").Id
	d := two.connect(bob, "start")
	d.until("created", func() bool { return d.has(c) == 1 })
	answer := d.pollAside("&wait=10")
	one.remove(ann, c, bob) // 2
	if page := <-answer; len(page.Events) != 1 || page.Events[0].Action != "removed" {
		t.Errorf("%+v", page)
	}
	d.agrees(c)
}

// A server that has not learned yet of a removal gives nothing of what was
// said after it.
func TestInboxOfANodeThatLagsGivesNothingBehindARemoval(t *testing.T) {
	t.Parallel()
	url := testdb.Postgres(t)
	one, _ := newNode(t, openPostgres(t, url), poller.Options{SweepInterval: 50 * time.Millisecond}, nil)
	two, _ := newNode(t, openPostgres(t, url), slowSweep, nil)
	ann, bob := one.signUp("ann"), one.signUp("bob")
	var groups [5]string
	for i := range groups {
		groups[i] = one.group(ann, "bob").Id
	}
	d := one.connect(bob, "start")
	d.until("created", func() bool { return d.has(groups[4]) == 1 })
	two.inboxStream(bob.Token, "", nil).must() // now the server knows bob's groups
	d.world = two
	for i, c := range groups {
		one.remove(ann, c, bob)                        // 2
		one.send(ann, c, fmt.Sprint("s", i), "secret") // 3
		for range 3 {
			d.poll("")
		}
		if d.seqs(c) != "1 2" {
			t.Errorf("round %d: given %s", i, d.seqs(c))
		}
	}
}

// Who connects anew to a server that has not learned yet of their removal begins
// behind it, and is given nothing of what is said there from then on.
func TestInboxBegunBehindARemovalGivesNothingOfIt(t *testing.T) {
	t.Parallel()
	url := testdb.Postgres(t)
	one, _ := newNode(t, openPostgres(t, url), poller.Options{SweepInterval: 50 * time.Millisecond}, nil)
	two, _ := newNode(t, openPostgres(t, url), slowSweep, nil)
	ann, bob := one.signUp("ann"), one.signUp("bob")
	c, end := one.group(ann, "bob").Id, one.group(ann, "bob").Id
	two.inboxStream(bob.Token, "", nil).must() // now the server knows bob's groups
	one.remove(ann, c, bob)                    // 2
	for given := int64(1); given > 0; {        // until the horizon is behind the removal
		d := one.connect(bob, "now")
		d.poll("")
		given = d.has(c)
	}
	d := two.connect(bob, "now")
	s := two.inboxStream(bob.Token, "?from=now", nil)
	two.send(ann, c, "1", "secret") // 3
	two.send(ann, end, "1", "end")
	for d.has(end) < 2 {
		d.follow(s)
	}
	if d.has(c) != 0 {
		t.Errorf("given %s", d.seqs(c))
	}
}

// A removal that a server has given to an inbox holds there at once, also
// before its sweep has told it of the membership.
func TestInboxEndsWithTheRemovalItGave(t *testing.T) {
	t.Parallel()
	url := testdb.Postgres(t)
	one, _ := newNode(t, openPostgres(t, url), poller.Options{}, nil)
	two, _ := newNode(t, openPostgres(t, url), slowSweep, nil)
	ann, bob := one.signUp("ann"), one.signUp("bob")
	c, end := one.group(ann, "bob").Id, one.group(ann, "bob").Id
	d := two.connect(bob, "start")
	s := d.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	for d.has(c) < 1 || d.has(end) < 1 {
		d.follow(s)
	}
	one.remove(ann, c, bob)         // 2
	two.send(ann, c, "1", "secret") // 3
	for d.has(c) < 2 {
		d.follow(s)
	}
	two.send(ann, c, "2", "secret") // 4
	two.send(ann, end, "1", "end")
	for d.has(end) < 2 {
		d.follow(s)
	}
	if d.seqs(c) != "1 2" {
		t.Errorf("given %s", d.seqs(c))
	}
}

// Whoever is removed while others talk is given nothing behind it.
func TestInboxGivesNothingBehindARemovalWhileOthersTalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	var groups []string
	for range 20 {
		groups = append(groups, w.group(ann, "bob").Id)
	}
	d := w.connect(bob, "start")
	s := d.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	for _, c := range groups {
		var talk sync.WaitGroup
		for k := range 4 {
			talk.Go(func() {
				for n := range 4 {
					w.send(ann, c, fmt.Sprint(k, ".", n), "talk")
				}
			})
		}
		w.remove(ann, c, bob)
		talk.Wait()
	}
	end := w.group(ann, "bob").Id
	for d.has(end) == 0 {
		d.follow(s)
	}
	s.close()
	d.drain("")
	for _, c := range groups {
		d.agrees(c)
	}
}

// A conversation that is joined and left between two sweeps is told of.
func TestInboxTellsOfAShortVisit(t *testing.T) {
	t.Parallel()
	url := testdb.Postgres(t)
	one, _ := newNode(t, openPostgres(t, url), poller.Options{}, nil)
	two, _ := newNode(t, openPostgres(t, url), poller.Options{SweepInterval: 500 * time.Millisecond}, nil)
	ann, bob := one.signUp("ann"), one.signUp("bob")
	d := two.connect(bob, "start")
	s := d.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	var groups []string
	for range 8 {
		c := one.group(ann, "bob").Id
		one.remove(ann, c, bob)
		groups = append(groups, c)
	}
	end := one.group(ann, "bob").Id
	for d.has(end) == 0 {
		d.follow(s)
	}
	for n := range int64(3) { // each comes behind a sweep, and T passes what that closed
		sweeps := two.poller.Stats().Sweeps
		eventually(t, "a sweep", func() bool { return two.poller.Stats().Sweeps >= sweeps+2 })
		one.send(ann, end, fmt.Sprint(n), "end")
		for d.has(end) < 2+n {
			d.follow(s)
		}
	}
	s.close()
	for _, c := range groups {
		d.until("the end of "+c, func() bool { return d.has(c) == 2 })
	}
}
