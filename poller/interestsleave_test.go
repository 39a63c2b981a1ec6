package poller

import (
	"testing"
	"time"

	"holdline/store"
)

// All followers of a large group are given up at once in a time that grows with
// their number, not with its square: the store's writer waits for it.
func TestALargeGroupLeavesTogether(t *testing.T) {
	forget := func(users int) time.Duration {
		var in inboxes
		in.init(&Poller{})
		long := time.Now().Add(-2 * userLinger)
		for n := range users {
			u := &inboxUser{id: store.ID(n + 1)}
			in.users[u.id] = u
			in.enter(u)
			if err := in.replace(u, []store.Interest{{ConversationID: 1, FromSeq: 1}, {ConversationID: store.ID(2 + n%100), FromSeq: 1}}, nil); err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				in.idle[u] = long
			}
		}
		began := time.Now()
		in.forget()
		took := time.Since(began)
		if len(in.users) != 1 || len(in.idle) != 0 || len(in.byID) != 2 {
			t.Fatalf("%d users, %d idle, %d conversations are left; want the one with an inbox and its two", len(in.users), len(in.idle), len(in.byID))
		}
		if f := in.followers(1); len(f) != 1 || in.people[f[0]].id != 1 {
			t.Fatalf("%d follow the group", len(f))
		}
		return took
	}
	// 16 times as many; the square would be 256 times. What else the machine has
	// to do may come in between, but not each time.
	for tries := 1; ; tries++ {
		few := max(forget(3000), 3*time.Millisecond)
		many := forget(48000)
		if many <= 100*few {
			return
		}
		if t.Logf("3,000 leave in %v, 48,000 in %v", few, many); tries == 5 {
			t.Fatal("that is more than their number")
		}
	}
}
