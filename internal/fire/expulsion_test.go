package fire

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// While eight senders send on two servers without hints, a member who reads on
// both, leaving and coming back at random, is removed. Each of their readers
// ends with exactly the log up to the removal.
func TestRemovalUnderFire(t *testing.T) {
	const senders, copies = 8, 4
	d := newDice(t)
	database := testdb.Postgres(t)
	config := harness.Config{Database: database, Args: []string{"--hints=off", "--sweep=100ms"}}
	servers := []*harness.Server{harness.Start(t, config), harness.Start(t, config)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	clients := people(t, servers[0], "sender", senders)
	owner := clients[0]
	bob := people(t, servers[0], "bob", 1)[0]
	accounts := make([][]*harness.Client, copies)
	for i := range accounts {
		accounts[i] = onAll(t, []*harness.Client{bob}, servers)[0]
	}
	conversation := owner.Group(append(handles("sender", senders)[1:], "bob-0")...)

	var rs readers
	rs.start(ctx, d, conversation, true, accounts)
	s := newSenders(d, conversation)
	for i := range clients {
		if i%2 == 1 {
			clients[i] = bare(t, clients[i].At(servers[1]))
		}
	}
	s.start(ctx, clients...)
	s.waitFor(t, 300)
	var gone struct {
		Events []harness.Event `json:"events"`
	}
	owner.Must(http.StatusOK, http.MethodDelete, "/v1/conversations/"+conversation+"/members/"+bob.UserID, nil, &gone)
	s.waitFor(t, 300)
	rs.group.Wait() // each is told that it is out, while the senders go on
	s.stop(t)

	removal := gone.Events[0].Seq
	st := openStore(t, database)
	log := storedLog(t, st, conversation)
	s.check(t, st)
	if int64(len(log)) < removal+300 {
		t.Errorf("the log has %d events, the removal was %d: hardly anything came after it", len(log), removal)
	}
	sittings := 0
	for _, r := range rs.all {
		sittings += r.sittings
		if r.fault != nil {
			t.Error(r.fault)
			continue
		}
		if !r.ended || int64(len(r.events)) != removal {
			t.Errorf("%s ended (%t) with %d events; the removal was %d", r.name, r.ended, len(r.events), removal)
			continue
		}
		for i, data := range r.events {
			if err := sameEvent(data, &log[i]); err != nil {
				t.Errorf("%s, event %d: %v", r.name, i+1, err)
				break
			}
		}
		var last piece
		if err := json.Unmarshal([]byte(r.events[removal-1]), &last); err != nil || last.UserID != bob.UserID || last.Action != "removed" {
			t.Errorf("%s: the last event is %s", r.name, r.events[removal-1])
		}
	}
	t.Logf("%d readers of the removed member ended behind event %d of %d, in %d sittings", len(rs.all), removal, len(log), sittings)
}
