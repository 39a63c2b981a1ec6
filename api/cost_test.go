package api

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWhatAMessageCosts measures on the socket what docs/constrained.md says.
func TestWhatAMessageCosts(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	other := w.group(ann, "bob").Id
	const text = "12345678901234567890"
	stream := "/v1/conversations/" + c + "/stream"
	var page InboxPage
	w.must(200, request{method: "GET", path: "/v1/inbox", token: bob.Token}, &page)
	streams := map[string]*wire{}
	for _, path := range []string{stream + "?after=1", stream + "?after=1&compact=1", "/v1/inbox/stream?cursor=" + page.Cursor, "/v1/inbox/stream?compact=1&cursor=" + page.Cursor} {
		streams[path] = w.wire(bob, path, "text/event-stream")
		if strings.Contains(streams[path].head, "chunked") {
			t.Error("a stream in chunks")
		}
	}
	w.waiting(4)
	say := func(who account, conversation, id string) map[string]string {
		w.send(who, conversation, id, text)
		frames := map[string]string{}
		for path, s := range streams {
			if strings.HasPrefix(path, stream) && conversation != c {
				continue
			}
			for frames[path] = s.frame(nil); strings.HasPrefix(frames[path], "event: receipt\n"); {
				frames[path] = s.frame(nil)
			}
		}
		return frames
	}
	first := say(ann, c, "1")
	again := say(ann, c, "2")
	turn := say(ann, other, "3")
	for _, test := range []struct {
		what, frame string
		most        int
	}{
		{"full", again[stream+"?after=1"], 300},
		{"full, inbox", again["/v1/inbox/stream?cursor="+page.Cursor], 300},
		{"compact, a sender's first", first[stream+"?after=1&compact=1"], 100},
		{"compact", again[stream+"?after=1&compact=1"], 100},
		{"compact, inbox", again["/v1/inbox/stream?compact=1&cursor="+page.Cursor], 100},
		{"compact, inbox, another conversation", turn["/v1/inbox/stream?compact=1&cursor="+page.Cursor], 120},
	} {
		t.Logf("%-40s %3d bytes %q", test.what, len(test.frame), test.frame)
		if len(test.frame) > test.most || !strings.Contains(test.frame, text) {
			t.Errorf("%s: %d bytes of %q, at most %d", test.what, len(test.frame), test.frame, test.most)
		}
	}
	// The document's inbox has a cursor of 20 characters.
	inbox := again["/v1/inbox/stream?cursor="+page.Cursor]
	_, id, _ := strings.Cut(inbox, "\nid: ")
	measured := []int{
		len(again[stream+"?after=1"]), len(again[stream+"?after=1&compact=1"]),
		len(inbox) - len(strings.TrimSpace(id)) + 20, len(again["/v1/inbox/stream?compact=1&cursor="+page.Cursor]),
	}
	sums, totals := documentedCosts(t)
	if !slices.Equal(measured, totals) || !slices.Equal(sums, totals) {
		t.Errorf("measured %v; docs/constrained.md says %v, and its pieces are %v in all", measured, totals, sums)
	}
	if more := len(first[stream+"?after=1&compact=1"]) - measured[1]; more != 26 {
		t.Errorf("another sender costs %d more", more)
	}
	if more := len(turn["/v1/inbox/stream?compact=1&cursor="+page.Cursor]) - measured[3]; more != 58 {
		t.Errorf("another conversation costs %d more", more)
	}
}

// documentedCosts reads the table of docs/constrained.md: the sums of its pieces,
// and what it says they are.
func documentedCosts(t *testing.T) (sums, totals []int) {
	document, err := os.ReadFile("../docs/constrained.md")
	must(t, err)
	_, table, _ := strings.Cut(string(document), "| piece |")
	table, _, _ = strings.Cut(table, "\n\n")
	sums, totals = make([]int, 4), make([]int, 4)
	for _, row := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(strings.Trim(row, "| "), "|")
		for i := range sums {
			n, err := strconv.Atoi(strings.Trim(cells[len(cells)-4+i], " *"))
			must(t, err)
			if strings.HasPrefix(cells[0], "**all") {
				totals[i] = n
			} else {
				sums[i] += n
			}
		}
	}
	return sums, totals
}
