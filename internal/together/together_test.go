package together

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"holdline/internal/harness"
)

// title is that of the group.
const title = "Everybody"

// said is a message as a client shows it; seq is 0 where it shows none.
type said struct {
	seq       int64
	who, text string
}

// group is a conversation of all, one member for each kind of client.
type group struct {
	t      *testing.T
	server *harness.Server
	id     string
	names  map[string]string // handles by user id
}

// client is a kind of client, in use by one member of the group.
type client struct {
	handle string
	// send sends a message and returns when the client has taken it over: what it
	// has not sent yet, it keeps.
	send func(text string) error
	// shown are the messages that it has shown so far, in order.
	shown func() ([]said, error)
}

// 200 messages by six kinds of client, each sending as fast as it can in turns of
// all, and the server killed twice among them: in the end each has shown what
// the log holds, in its order, nothing twice, nothing left out.
func TestSixKindsOfClient(t *testing.T) {
	const messages = 200
	g := &group{t: t, server: harness.Start(t, harness.Config{NoRace: true}), names: map[string]string{}}
	accounts := map[string]*harness.Client{}
	handles := []string{"terminal", "page", "gosdk", "typescript", "device", "curl"}
	for _, handle := range handles {
		accounts[handle] = g.server.SignUp(handle)
		g.names[accounts[handle].UserID] = handle
	}
	var made struct{ ID string }
	accounts["curl"].Must(http.StatusCreated, http.MethodPost, "/v1/conversations",
		map[string]any{"kind": "group", "members": handles, "title": title}, &made)
	g.id = made.ID

	page := g.page("page")
	terminal, screen := g.terminal("terminal")
	others := []client{
		terminal, g.goSDK("gosdk", accounts["gosdk"].Token), g.typeScript("typescript", accounts["typescript"].Token),
		g.device("device", accounts["device"].Token), g.curl("curl", accounts["curl"].Token),
	}
	all := append([]client{page}, others...)

	var want []said // in no order yet
	var sending sync.WaitGroup
	turns := make([]chan string, len(others))
	for i, c := range others {
		turns[i] = make(chan string, messages)
		sending.Go(func() {
			for text := range turns[i] {
				if err := c.send(text); err != nil {
					t.Errorf("%s: sending %q: %v", c.handle, text, err)
				}
			}
		})
	}
	kills := 0
	for n := range messages {
		c := all[n%len(all)]
		text := fmt.Sprintf("%03d of %s", n, c.handle)
		want = append(want, said{who: c.handle, text: text})
		if i := n % len(all); i > 0 {
			turns[i-1] <- text
		} else if err := c.send(text); err != nil {
			t.Errorf("%s: sending %q: %v", c.handle, text, err)
		}
		if n == messages/3 || n == 2*messages/3 {
			harness.Eventually(t, "the terminal is connected", func() bool { return count(screen, "* Connected") > kills })
			g.server.Kill()
			kills++
			harness.Eventually(t, "the terminal says that it reconnects", func() bool { return count(screen, "* Reconnecting") >= kills })
			g.server = g.server.Again()
		}
	}
	for _, turn := range turns {
		close(turn)
	}
	sending.Wait()

	watcher := accounts["curl"].At(g.server)
	var log []said
	harness.Eventually(t, "the log holds all messages", func() bool {
		log = nil
		for _, e := range watcher.AllEvents(g.id) {
			if e.Type == "message" {
				log = append(log, said{e.Seq, g.names[e.SenderID], e.Text})
			}
		}
		return len(log) >= messages
	})
	if sorted := withoutSeq(log); !slices.Equal(sorted, want) {
		t.Errorf("the log holds %d messages instead of the %d that were sent: %v", len(log), messages, log)
	}
	for _, c := range all {
		var shown []said
		var err error
		harness.Eventually(t, c.handle+" has shown all messages", func() bool {
			shown, err = c.shown()
			return err != nil || len(shown) >= len(log)
		})
		if err != nil {
			t.Errorf("%s: %v", c.handle, err)
		}
		compare(t, c.handle, shown, log)
	}
}

// withoutSeq is a log sorted by texts, as they were given out.
func withoutSeq(log []said) []said {
	sorted := slices.Clone(log)
	for i := range sorted {
		sorted[i].seq = 0
	}
	slices.SortFunc(sorted, func(a, b said) int { return slices.Compare([]byte(a.text), []byte(b.text)) })
	return sorted
}

// compare tells the first place where a client shows something else than the log.
func compare(t *testing.T, handle string, shown, log []said) {
	t.Helper()
	for i := range max(len(shown), len(log)) {
		switch {
		case i >= len(shown):
			t.Errorf("%s does not show %v", handle, log[i])
		case i >= len(log):
			t.Errorf("%s shows besides %v", handle, shown[i])
		case shown[i].who != log[i].who || shown[i].text != log[i].text || shown[i].seq != 0 && shown[i].seq != log[i].seq:
			t.Errorf("%s shows %v as message %d, which is %v", handle, shown[i], i+1, log[i])
		default:
			continue
		}
		return
	}
}
