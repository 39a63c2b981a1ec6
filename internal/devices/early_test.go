package devices

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"holdline/internal/harness"
)

// early answers every request at once: with an event the fourth, and the others with nothing.
func early(t *testing.T) (f *fake, times func() []time.Time) {
	t.Helper()
	var all []time.Time
	f = newFake(t, func(n int, r *http.Request) reply {
		all = append(all, time.Now())
		body := `{"events":[],"receipts":[],"cursor":"0-k7q","more":false,"last_seq":1}`
		if n == 3 {
			body = page(1)
		}
		if strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
			if body = ""; n == 3 {
				body = "1\t-\tmessage\t-\tx\n"
			}
		}
		return reply{raw: sized("200 OK", body, "Holdline-Cursor: 0-k7q")}
	})
	return f, func() []time.Time {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Clone(all)
	}
}

// Empty answers that come at once, again and again, are not asked for as fast as they come. The first is: a server that
// goes down gives one, and the next one holds the line. An event ends the waits, which grow.
func TestEarlyAnswersArePaced(t *testing.T) {
	t.Parallel()
	clients := map[string]func(f *fake) []string{
		"c": func(f *fake) []string {
			return f.args(t, sanitized, "follow", "--conversation", conversation)
		},
		"python": func(f *fake) []string {
			url := "http://" + f.listener.Addr().String()
			return []string{program(t, "env"), "HOLDLINE_TOKEN=token", program(t, "python3"), example(t, "python/holdline.py"), url, "follow", "--conversation", conversation}
		},
		"sh": func(f *fake) []string {
			url := "HOLDLINE_URL=http://" + f.listener.Addr().String()
			return []string{program(t, "env"), url, "HOLDLINE_DIR=" + home(t, "token"), program(t, "dash"), example(t, "sh/holdline-tail"), t.TempDir() + "/cursor", conversation}
		},
	}
	program(t, "curl")
	for name, argv := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, times := early(t)
			client := follow(t, name, argv(f)...)
			client.until("an event", func() bool { return len(client.got) > 0 })
			harness.Eventually(t, "it asks again and again", func() bool { return len(times()) > 7 })
			client.kill()
			at := times()
			const once, twice = 450 * time.Millisecond, 900 * time.Millisecond
			// Requests 0 to 2 bring nothing, 3 an event, 4 and later nothing: the waits are behind 1, 2, 5 and 6.
			for i, least := range map[int]time.Duration{1: once, 2: twice, 5: once, 6: twice} {
				if wait := at[i+1].Sub(at[i]); wait < least {
					t.Errorf("only %v between the requests %d and %d", wait, i, i+1)
				}
			}
		})
	}
}
