package devices

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Several conversations and senders at once: the client knows who said what
// when the server leaves the sender out.
func TestCompactSenders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var rooms []string
	for range 10 {
		rooms = append(rooms, w.ann.Group("bob"))
	}
	path, rnd, total := compile(t, sanitized), rand.New(rand.NewPCG(3, 4)), len(rooms)
	argv := append([]string{path}, address(t, w.proxy.Addr())...)
	var followers []*follower
	for _, how := range [][]string{{"--compact"}, {"--compact", "--sse"}} {
		f := follow(t, strings.Join(how, " "), append(append(argv, w.bob.Token, "follow"), how...)...)
		f.until("it follows", func() bool { return len(f.got) == total })
		followers = append(followers, f)
	}
	for n := range 150 {
		by := w.ann
		if rnd.IntN(3) == 0 {
			by = w.bob
		}
		among := 3
		if n%30 < 10 {
			among = len(rooms)
		}
		by.MustSend(rooms[rnd.IntN(among)], fmt.Sprint(n), "text")
		total++
	}
	for _, f := range followers {
		f.until("all events", func() bool { return len(f.got) >= total })
		for _, room := range rooms {
			var got []string
			for _, line := range f.got {
				if strings.HasPrefix(line, room) {
					got = append(got, line)
				}
			}
			compareShort(t, f.name+" "+room, got, w.inboxLines(room))
		}
	}
}
