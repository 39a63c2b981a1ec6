package api

import (
	"fmt"
	"testing"
	"time"

	"holdline/internal/testdb"
)

// A cursor that is full waits for the horizon, which moves by itself: nobody has
// to say more, and no usual sweep has to come, for what is held back to be given.
func TestInboxThatIsFullGoesOnWithTheHorizon(t *testing.T) {
	t.Parallel()
	w, _ := newNode(t, openPostgres(t, testdb.Postgres(t)), slowSweep, func(c *Config) { c.Heartbeat = time.Minute })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	var groups []string
	for range 150 {
		groups = append(groups, w.group(ann, "bob").Id)
	}
	d := w.connect(bob, "start")
	d.until("all groups", func() bool { return len(d.events) == len(groups) })
	s := d.inboxStream(bob.Token, "?cursor="+d.cursor, nil)
	for i, c := range groups {
		w.send(ann, c, fmt.Sprint(i), "text") // 2
	}
	sent := time.Now()
	for _, c := range groups {
		for d.has(c) < 2 {
			d.follow(s)
		}
	}
	if waited := time.Since(sent); waited > 30*time.Second {
		t.Errorf("the last came after %v", waited)
	}
	for _, c := range groups {
		d.agrees(c)
	}
}
