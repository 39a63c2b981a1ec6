package foreign

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdline/internal/harness"
)

// world is a server with one conversation: ann writes, bob reads. The server
// runs without the race detector, which would slow hundreds of readers down;
// other tests look for races.
type world struct {
	t            *testing.T
	server       *harness.Server
	cutter       *cutter
	ann, bob     *harness.Client
	conversation string
	texts        map[int64]string // those sent, by seq
}

func newWorld(t *testing.T, args ...string) *world {
	t.Helper()
	return newWorldOn(t, "", args...)
}

// newWorldOn is newWorld on a certain database.
func newWorldOn(t *testing.T, database string, args ...string) *world {
	t.Helper()
	config := harness.Config{Database: database, Args: args, NoRace: true}
	w := &world{t: t, server: harness.Start(t, config), texts: map[int64]string{}}
	w.cutter = newCutter(t, w.server)
	w.ann, w.bob = w.server.SignUp("ann"), w.server.SignUp("bob")
	w.conversation = w.ann.Group("bob")
	return w
}

// say lets ann send texts.
func (w *world) say(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		w.send(w.ann, text)
	}
}

// send sends a text. To the sender's own readers the event names the client_id,
// here one with quotes and a backslash in it.
func (w *world) send(c *harness.Client, text string) {
	w.t.Helper()
	e := c.MustSend(w.conversation, fmt.Sprintf(`"%d\`, len(w.texts)), text)
	w.texts[e.Seq] = text
}

// happen lets all else happen: what is no message, and one of the reader's own.
func (w *world) happen() {
	w.t.Helper()
	w.send(w.bob, "own\r\n")
	w.server.SignUp("cleo")
	path := "/v1/conversations/" + w.conversation
	w.ann.Must(http.StatusCreated, http.MethodPost, path+"/members", map[string]any{"members": []string{"cleo"}}, nil)
	w.ann.Must(http.StatusOK, http.MethodPatch, path, map[string]string{"title": "Allotment: \"2027\" \\ 😀"}, nil)
}

// restart kills the server and starts it again at the same address.
func (w *world) restart() {
	w.t.Helper()
	w.server.Kill()
	w.server = w.server.Again()
	w.ann, w.bob = w.ann.At(w.server), w.bob.At(w.server)
}

// path is the conversation's stream, behind the address of a server.
func (w *world) path() string { return "/v1/conversations/" + w.conversation + "/stream" }

// ticket is one of bob's, for the address of a stream.
func (w *world) ticket() string {
	w.t.Helper()
	var made struct {
		Ticket string `json:"ticket"`
	}
	w.bob.Must(http.StatusCreated, http.MethodPost, "/v1/tickets", map[string]any{}, &made)
	return made.Ticket
}

// entry is an event as it stands in the log: its type, its JSON and its cursor.
type entry struct{ typ, data, id string }

// log reads the whole log in pages, as somebody sees it.
func (w *world) log(c *harness.Client) (log []entry) {
	w.t.Helper()
	after := "0"
	for {
		var page struct {
			Events []json.RawMessage `json:"events"`
			Cursor string            `json:"cursor"`
			More   bool              `json:"more"`
		}
		c.Must(http.StatusOK, http.MethodGet, "/v1/conversations/"+w.conversation+"/events?limit=1000&after="+after, nil, &page)
		_, epoch, _ := strings.Cut(page.Cursor, "-")
		for _, data := range page.Events {
			var e harness.Event
			if err := json.Unmarshal(data, &e); err != nil {
				w.t.Fatal(err)
			}
			if text := w.texts[e.Seq]; e.Text != text {
				w.t.Errorf("event %d has the text %q instead of %q", e.Seq, e.Text, text)
			}
			log = append(log, entry{e.Type, string(data), strconv.FormatInt(e.Seq, 10) + "-" + epoch})
		}
		if after = page.Cursor; !page.More {
			return log
		}
	}
}

// check compares what somebody has received with the log, from its beginning.
func (w *world) check(got, log []entry) {
	w.t.Helper()
	if slices.Equal(got, log) {
		return
	}
	for i, told := 0, 0; i < max(len(got), len(log)) && told < 3; i++ {
		if i >= len(got) || i >= len(log) || got[i] != log[i] {
			told++
		}
		switch {
		case i >= len(log):
			w.t.Errorf("received besides: %+v", clip(got[i]))
		case i >= len(got):
			w.t.Errorf("not received: %+v", clip(log[i]))
		case got[i] != log[i]:
			w.t.Errorf("event %d was received as %+v instead of %+v", i+1, clip(got[i]), clip(log[i]))
		}
	}
}

func clip(e entry) entry {
	const most = 300
	if len(e.data) > most {
		e.data = e.data[:most] + "…"
	}
	return e
}
