package devices

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// corrupt is an answer to which a few things happened: bytes lost, doubled,
// changed or put in.
func corrupt(rnd *rand.Rand, raw string) string {
	const odd = "\x00\xff\"\\{}[]:,\r\n 0-u\xed\xa0\x80"
	b := []byte(raw)
	for range 1 + rnd.IntN(4) {
		at := rnd.IntN(len(b) - 1)
		end := min(len(b)-1, at+1+rnd.IntN(8))
		switch rnd.IntN(4) {
		case 0:
			b = append(b[:at:at], b[end:]...)
		case 1:
			b = append(b[:end:end], b[at:]...)
		case 2:
			b[at] = odd[rnd.IntN(len(odd))]
		default:
			b = append(append(b[:at:at], strings.Repeat(string(odd[rnd.IntN(len(odd))]), 1+rnd.IntN(300))...), b[at:]...)
		}
	}
	return string(b)
}

// Whatever a server sends, the client stays within its memory and its language:
// the sanitizers have nothing to say, and it comes back as long as it makes sense.
func TestCorruptAnswers(t *testing.T) {
	t.Parallel()
	const seed, rounds, requests = 20261128, 12, 60
	forms := []func(int64) string{
		func(seq int64) string { return chunked("200 OK", "application/json", page(seq, seq+1), 9) },
		func(seq int64) string { return sized("200 OK", page(seq)) },
		func(seq int64) string {
			return chunked("200 OK", "text/event-stream", "retry: 1\n"+frame(seq, "\n")+frame(seq+1, "\r\n"), 50)
		},
		func(int64) string { return problem("503 Service Unavailable", "unavailable") },
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, uint64(round)))
			form := forms[round%len(forms)]
			enough := make(chan struct{})
			f := newFake(t, func(n int, r *http.Request) reply {
				if n == requests {
					close(enough)
				}
				raw := form(max(1, after(r)+1))
				if n%2 == 0 {
					raw = corrupt(rnd, raw)
				}
				return reply{raw: raw, cut: true}
			})
			args := []string{"follow", "--retry", "1", "--silence", "1", "--wait", "1", "--conversation", conversation}
			if round%len(forms) == 2 {
				args = append(args, "--sse")
			}
			if round%3 == 0 {
				args = append(args, "--compact")
			}
			client := follow(t, "corrupt", f.args(t, sanitized, args...)...)
			select {
			case <-enough:
			case <-client.Exited(): // an answer said so
			case <-time.After(3 * time.Second): // or that it should wait
			}
			client.kill()
			if said := client.Errors(); strings.Contains(said, "Sanitizer") || strings.Contains(said, "runtime error") {
				t.Fatal(said)
			}
			for _, line := range client.got {
				if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
					t.Errorf("control characters in %q", line)
				}
			}
		})
	}
}
