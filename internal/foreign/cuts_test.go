package foreign

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// shortWorld has a conversation whose whole stream is some hundred bytes, with
// everything in it that a cut could break: fields, an emoji, escapes, and what
// is for the reader alone. length is that of the stream up to its last event.
func shortWorld(t *testing.T, heartbeat time.Duration) (w *world, log []entry, length int) {
	t.Helper()
	w = newWorld(t, "--heartbeat="+heartbeat.String(), "--max-waiting-per-user=10000")
	w.say(" 😀")
	w.send(w.bob, "id: 7\r\n\r\n\u2028")
	log = w.log(w.bob)
	return w, log, len(w.raw(log[len(log)-1].id))
}

// raw reads the bytes of bob's stream up to the event with an id.
func (w *world) raw(lastID string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+w.path(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.bob.Token)
	resp, err := w.bob.HTTP.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []byte
	var some [512]byte
	for end := "id: " + lastID + "\n\n"; ; {
		n, err := resp.Body.Read(some[:])
		all = append(all, some[:n]...)
		if at := strings.Index(string(all), end); at >= 0 {
			return string(all[:at+len(end)])
		}
		if err == io.EOF || err != nil {
			w.t.Fatalf("%v after %q", err, all)
		}
	}
}

// cut is what a reader got that was cut off after so many bytes.
type cut struct {
	Cut    int `json:"cut"`
	Events []struct {
		Type string `json:"type"`
		Data string `json:"data"`
		ID   string `json:"id"`
	} `json:"events"`
}

// checkCuts takes what the readers of a script got, one for each cut: each of
// them everything, once, in two connections.
func (w *world) checkCuts(lines <-chan []byte, log []entry, length int) {
	t := w.t
	t.Helper()
	seen, resumed := map[int]bool{}, 0
	for len(seen) <= length {
		var line []byte
		var ok bool
		select {
		case line, ok = <-lines:
		case <-time.After(patience):
		}
		if !ok {
			t.Fatalf("only %d of %d readers are ready", len(seen), length+1)
		}
		var c cut
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if seen[c.Cut] {
			t.Fatalf("two readers were cut at %d", c.Cut)
		}
		seen[c.Cut] = true
		var got []entry
		for _, e := range c.Events {
			got = append(got, entry{e.Type, e.Data, e.ID})
		}
		w.check(got, log)
		asked := w.cutter.lastEventIDs(strconv.Itoa(c.Cut))
		if len(asked) != 2 || asked[0] != "" {
			t.Errorf("cut at %d: connections with Last-Event-ID %q", c.Cut, asked)
		} else if asked[1] != "" {
			resumed++
		}
		if t.Failed() {
			t.Fatalf("cut at %d", c.Cut)
		}
	}
	if resumed < length/2 {
		t.Errorf("only %d of %d went on behind an event", resumed, length)
	}
	t.Logf("%d readers, of which %d went on behind an event", len(seen), resumed)
}

// What all parsers rest on, in the bytes themselves: `retry:` and a heartbeat
// come first, that has no id, and `data:` stands before `id:`.
func TestRawStream(t *testing.T) {
	t.Parallel()
	w, log, length := shortWorld(t, time.Minute)
	raw := w.raw(log[len(log)-1].id)
	form := regexp.MustCompile(`^retry: [1-9][0-9]{3}\nevent: heartbeat\ndata: \{[^\n\r]*\}\n\n(event: [a-z]+\ndata: \{[^\n\r]*\}\nid: [0-9]+-[0-9A-Za-z]+\n\n)+$`)
	if !form.MatchString(raw) {
		t.Errorf("the stream is %q", raw)
	}
	if len(raw) != length {
		t.Errorf("the stream has %d bytes once and then %d", length, len(raw))
	}
}

// The client of r3labs/sse, cut off once after each byte of a stream.
func TestR3labsCutAtEveryByte(t *testing.T) {
	t.Parallel()
	w, log, length := shortWorld(t, 200*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cuts := make(chan int)
	var group sync.WaitGroup
	var mu sync.Mutex
	fragments, misled := 0, 0
	for range 64 {
		group.Go(func() {
			for n := range cuts {
				s := &subscriber{url: w.cutter.base(strconv.Itoa(n)) + w.path(), token: w.bob.Token, epoch: epochOf(log)}
				s.progress = func(beat *heartbeat) bool { return beat == nil || s.calls < 2 || len(s.got) < len(log) }
				err := s.read(ctx)
				mu.Lock()
				if t.Failed() {
					mu.Unlock()
					continue
				}
				if err != nil || s.calls != 2 {
					t.Errorf("cut at %d: %d events in %d connections: %v", n, len(s.got), s.calls, err)
				}
				w.check(s.got, log)
				if t.Failed() {
					cancel() // one is enough to look at
				}
				fragments += s.fragments
				misled += s.misled
				mu.Unlock()
			}
		})
	}
	for n := range length + 1 {
		cuts <- n
	}
	close(cuts)
	group.Wait()
	if fragments == 0 || misled == 0 {
		t.Errorf("%d fragments, of which %d with a wrong id: the cuts do not hit", fragments, misled)
	}
	t.Logf("%d cuts: the client handed on %d fragments, and %d events with an id that is not theirs", length+1, fragments, misled)
}
