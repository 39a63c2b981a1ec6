package api

import (
	"strings"
	"testing"
)

// One user can hold only so many connections: what comes on top is refused,
// and taken again once one has gone. Others are not concerned.
func TestOneUserCannotHoldEveryConnection(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WaitingPerUser = 2 })
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	first := w.stream(ann.Token, c, "", nil)
	w.stream(ann.Token, c, "", nil)
	w.waiting(2)

	f, err := w.stream(ann.Token, c, "", nil).next()
	must(t, err)
	if f.event != "end" || f.retry != "60000" || !strings.Contains(f.data, `"rate_limited"`) {
		t.Errorf("a third stream begins with %+v", f)
	}
	poll := request{method: "GET", path: "/v1/conversations/" + c + "/events?after=1&wait=5", token: ann.Token}
	w.refused(poll, 429, "rate_limited", "")
	w.events(ann, c, "?after=1") // one that does not wait is answered
	w.stream(bob.Token, c, "", nil)
	w.waiting(3)

	first.close()
	w.send(bob, c, "1", "notices that the first has gone")
	w.send(bob, c, "2", "and once more, past what the socket took")
	eventually(t, "the place is free again", func() bool {
		f, err := w.stream(ann.Token, c, "", nil).next()
		return err == nil && f.event == "heartbeat"
	})
}
