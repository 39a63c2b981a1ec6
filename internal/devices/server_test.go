package devices

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/torture/netfault"
)

// textBytes is the longest text that the C client shows.
const textBytes = 3072

// world is a server behind a proxy: ann writes, bob reads.
type world struct {
	t        *testing.T
	server   *harness.Server
	proxy    *netfault.Proxy
	ann, bob *harness.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, server: harness.Start(t, harness.Config{Args: []string{"--heartbeat=500ms"}, NoRace: true})}
	w.proxy = w.newProxy()
	w.ann, w.bob = w.server.SignUp("ann"), w.server.SignUp("bob")
	return w
}

// newProxy starts a further proxy before the server.
func (w *world) newProxy() *netfault.Proxy {
	w.t.Helper()
	proxy, err := netfault.New(strings.TrimPrefix(w.server.URL, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = proxy.Close() }) // whatever was still going on
	return proxy
}

// restart kills the server and starts it again at the same address.
func (w *world) restart() {
	w.t.Helper()
	w.server.Kill()
	w.server = w.server.Again()
	w.ann, w.bob = w.ann.At(w.server), w.bob.At(w.server)
}

// textLines is a conversation's log in the server's own text form.
func (w *world) textLines(conversation string) []string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+"/v1/conversations/"+conversation+"/events?limit=1000", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/plain")
	req.Header.Set("Authorization", "Bearer "+w.bob.Token)
	resp, err := w.bob.HTTP.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("status %d, %v: %s", resp.StatusCode, err, body)
	}
	return strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
}

// lines is a conversation's log as the C client prints it to bob: the text form,
// but for texts that are too long.
func (w *world) lines(conversation string) []string {
	w.t.Helper()
	lines := w.textLines(conversation)
	events := w.bob.AllEvents(conversation)
	if len(lines) != len(events) {
		w.t.Fatalf("%d lines of %d events", len(lines), len(events))
	}
	for i, e := range events {
		if len(e.Text) > textBytes {
			lines[i] = fmt.Sprintf("# %d left out: a text of %d bytes does not fit", e.Seq, len(e.Text))
		}
	}
	return lines
}

// inboxLines is the same as an inbox tells it.
func (w *world) inboxLines(conversation string) []string {
	w.t.Helper()
	lines := w.lines(conversation)
	for i, line := range lines {
		if note, ok := strings.CutPrefix(line, "# "); ok {
			lines[i] = "# " + conversation + " " + note
		} else {
			lines[i] = conversation + "\t" + line
		}
	}
	return lines
}

// hostile are texts that are meant to break parsers and terminals.
func hostile() []string {
	return []string{
		"plain", `"quotes" and \ back\\slashes \u0041 \n`, "a\tb\nc\rd", "\x1b[2J\x1b]0;title\x07 bell\b\x7f", "\u0085\u009b31m \u2028\u2029",
		"\u202egnp.exe \u2066\u200f\u061c", "😀 🏳️‍🌈 \U0010fffd \ufeff", "e\u0301 ñ 中文 עברית", `{"events":[{"seq":1}],"cursor":"x"}`, "data: x\n\nid: 9-x\n\n", "-", "# 1 left out",
		strings.Repeat("x", textBytes), strings.Repeat("x", textBytes+1), strings.Repeat("😀", textBytes/4), strings.Repeat("\n", 16<<10), strings.Repeat("é", 8<<10),
	}
}

// bad is weather in which most connections break, at any byte.
func bad(rnd *rand.Rand) func(int64) netfault.Fault {
	var mu sync.Mutex
	return func(int64) netfault.Fault {
		mu.Lock()
		defer mu.Unlock()
		f := netfault.Fault{After: rnd.Int64N(6000), Reset: rnd.IntN(2) == 0}
		switch rnd.IntN(8) {
		case 0:
			f.Kind = netfault.None
		case 1:
			f.Kind = netfault.CutBeforeAnswer
		case 2:
			f.Kind, f.After = netfault.CutRequest, rnd.Int64N(500)
		case 3:
			f.Kind = netfault.Refuse
		case 4:
			f.Kind, f.Delay = netfault.Stall, time.Hour
		default:
			f.Kind = netfault.CutAnswer
		}
		return f
	}
}

// The C client follows two conversations by poll and by stream, by the inbox and
// by the conversation, with and without sanitizers, all at once, while
// connections break, the server is killed, and the clients are: each has the
// whole log at the end, in order, each event once.
func TestFollowsThroughFaults(t *testing.T) {
	t.Parallel()
	const seed = 20261128
	w := newWorld(t)
	group, other := w.ann.Group("bob"), w.ann.Direct("bob")
	host := address(t, w.proxy.Addr())

	type reader struct {
		*follower
		inbox, short bool
	}
	var readers []reader
	start := func(b build, short bool, how ...string) {
		if short {
			how = append(how, "--compact", "--max-bytes", strconv.Itoa(shortBytes))
		}
		name := b.name + " " + strings.Join(how, " ")
		state := filepath.Join(t.TempDir(), "state")
		argv := slices.Concat([]string{compile(t, b)}, host, []string{w.bob.Token, "follow", "--retry", "10", "--state", state}, how)
		readers = append(readers, reader{follow(t, name, argv...), !slices.Contains(how, "--conversation"), short})
	}
	for _, short := range []bool{false, true} {
		start(small, short, "--wait", "2", "--silence", "4")
		start(sanitized, short, "--wait", "2", "--silence", "4", "--conversation", group)
		start(sanitized, short, "--sse", "--silence", "2")
		start(small, short, "--sse", "--silence", "2", "--conversation", group)
	}

	texts := hostile()
	sent := 0
	say := func(n int) {
		for range n {
			conversation := group
			if sent%4 == 3 {
				conversation = other
			}
			w.ann.MustSend(conversation, strconv.Itoa(sent), texts[sent%len(texts)])
			sent++
		}
	}
	sender := compile(t, sanitized)
	sendThrough := func(n int) {
		for range n {
			text := "sent through the weather: " + texts[sent%10]
			argv := slices.Concat([]string{sender}, host, []string{w.ann.Token, "send", "--retry", "10", "--silence", "2", group, text})
			if out, errs, status := run(t, argv...); status != 0 {
				t.Fatalf("send: status %d, %q, %s", status, out, errs)
			}
			sent++
		}
	}
	w.proxy.Weather(bad(rand.New(rand.NewPCG(seed, 1))))
	for range 4 {
		say(40)
		sendThrough(10)
		w.restart()
		for i, f := range readers {
			if i%2 == 0 {
				f.restart()
			}
		}
	}
	w.proxy.Calm()
	if sent != 200 {
		t.Fatalf("%d messages", sent)
	}

	wantGroup, wantOther := w.lines(group), w.inboxLines(other)
	wantInbox := w.inboxLines(group)
	total := len(wantGroup) + len(wantOther)
	for _, f := range readers {
		f.until("the whole log", func() bool {
			if f.inbox {
				return len(f.once()) >= total
			}
			return f.complete == fmt.Sprintf("# complete to %d", len(wantGroup))
		})
		got, check := f.once(), compare
		if f.short {
			check = compareShort
		}
		if !f.inbox {
			check(t, f.name, got, wantGroup)
			continue
		}
		mine := func(conversation string) []string {
			return slices.DeleteFunc(slices.Clone(got), func(line string) bool { return !strings.Contains(line[:min(len(line), 14)], conversation) })
		}
		check(t, f.name, mine(group), wantInbox)
		check(t, f.name, mine(other), wantOther)
		if len(got) != total {
			t.Errorf("%s: %d lines instead of %d", f.name, len(got), total)
		}
	}
	for _, kind := range []netfault.Kind{netfault.CutAnswer, netfault.CutBeforeAnswer, netfault.CutRequest, netfault.Stall, netfault.Refuse} {
		if w.proxy.Struck(kind) == 0 {
			t.Errorf("no %v", kind)
		}
	}
}

// shortBytes is what the readers of short forms ask for by max_bytes.
const shortBytes = 2048

// aboutTime is a time of the text form, and what stands in its place when it is
// only known to be less than a minute away.
var aboutTime = regexp.MustCompile(`\t~?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\t`)

// compareShort compares lines of --compact and --max-bytes with the whole ones.
func compareShort(t *testing.T, name string, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	for i := range min(len(got), len(want)) {
		g, w := aboutTime.FindStringSubmatchIndex(got[i]), aboutTime.FindStringSubmatchIndex(want[i])
		cut := strings.HasSuffix(got[i], `\`) && !strings.HasSuffix(got[i], `\\`)
		switch {
		case g == nil:
			t.Errorf("%s: no time in %.200q", name, got[i])
		case w == nil: // a note that the text is too long for the client: here it comes cut
			if !cut || len(got[i]) < shortBytes/4 {
				t.Errorf("%s: %.200q is not cut", name, got[i])
			}
			got[i] = want[i]
		default:
			near(t, got[i][g[2]:g[3]], want[i][w[2]:w[3]])
			got[i] = got[i][:g[0]] + got[i][g[1]-1:]
			want[i] = want[i][:w[0]] + want[i][w[1]-1:]
			if whole := strings.TrimSuffix(got[i], `\`); cut && len(whole) > shortBytes/4 && strings.HasPrefix(want[i], whole) {
				got[i] = want[i]
			}
		}
	}
	compare(t, name, got, want)
}

func near(t *testing.T, a, b string) {
	t.Helper()
	at, errA := time.Parse(time.RFC3339, a)
	other, errB := time.Parse(time.RFC3339, b)
	if err := errors.Join(errA, errB); err != nil || at.Sub(other).Abs() >= time.Minute {
		t.Errorf("%s is not about %s: %v", a, b, err)
	}
}

func compare(t *testing.T, name string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s: not printed: %.200q", name, want[i])
		case i >= len(want):
			t.Errorf("%s: printed besides: %.200q", name, got[i])
		case got[i] != want[i]:
			t.Errorf("%s: line %d is\n%.200q instead of\n%.200q", name, i+1, got[i], want[i])
		default:
			continue
		}
		return
	}
}

// What the file keeps is enough to go on: nothing comes twice, and "--new"
// begins with what comes.
func TestOnceAndState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.ann.Group("bob")
	path := compile(t, sanitized)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(w.bob.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	states := [2]string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	once := func(state string, args ...string) []string {
		t.Helper()
		argv := slices.Concat([]string{path}, address(t, w.proxy.Addr()), []string{"@" + token, "follow", "--once", "--state", state}, args)
		out, errs, status := run(t, argv...)
		if status != 0 {
			t.Fatalf("status %d: %s", status, errs)
		}
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		return slices.DeleteFunc(lines, func(line string) bool { return line == "" || strings.HasPrefix(line, "# complete") })
	}
	for i := range 70 {
		w.ann.MustSend(group, strconv.Itoa(i), "text")
	}
	compare(t, "first", once(states[0]), w.inboxLines(group))
	compare(t, "nothing new", once(states[0]), nil)
	compare(t, "new", once(states[1], "--new", "--conversation", group), nil)
	w.ann.MustSend(group, "more", "more")
	compare(t, "inbox", once(states[0]), w.inboxLines(group)[71:])
	compare(t, "conversation", once(states[1], "--conversation", group), w.lines(group)[71:])
	if _, errs, status := run(t, append(append([]string{path}, address(t, w.proxy.Addr())...), "@"+token, "follow", "--once", "--state", states[1])...); status != 2 {
		t.Errorf("the state of another reader: status %d, %s", status, errs)
	}
}

// Sending says for certain what became of the message.
func TestSendIsCertain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.ann.Group("bob")
	path := compile(t, sanitized)
	send := func(args ...string) (string, int) {
		t.Helper()
		out, errs, status := run(t, slices.Concat([]string{path}, address(t, w.proxy.Addr()), args)...)
		return out + errs, status
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{w.ann.Token, "send", "--client-id", "c 1", group, "text"}, 0, "2\n"},
		{[]string{w.ann.Token, "send", "--client-id", "c 1", group, "text"}, 0, "2\n"},
		{[]string{w.ann.Token, "send", "--client-id", "c 1", group, "other"}, 1, "client_id_reused"},
		{[]string{w.ann.Token, "send", group, ""}, 1, "invalid"},
		{[]string{w.ann.Token, "send", group, strings.Repeat("x", 16385)}, 1, "invalid"},
		{[]string{w.ann.Token, "send", group, "\xff"}, 1, "invalid"},
		{[]string{w.ann.Token, "send", "AAAAAAAAAAA", "text"}, 1, "not_found"},
		{[]string{w.ann.Token[:20], "send", group, "text"}, 3, "unauthorized"},
		{[]string{w.ann.Token, "send", group}, 2, "holdline-c HOST"},
		{[]string{w.ann.Token, "send", "a/../b", "text"}, 2, "holdline-c HOST"},
		{[]string{"a\r\nb", "send", group, "text"}, 2, "no token"},
	} {
		if says, status := send(c.args...); status != c.status || !strings.Contains(says, c.says) {
			t.Errorf("%.80q: status %d, %q", c.args[1:], status, says)
		}
	}
	if events := w.bob.AllEvents(group); len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
}
