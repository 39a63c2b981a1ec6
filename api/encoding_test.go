package api

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An event has one encoding, wherever it stands: some readers of lines end one
// at U+2028, so it is escaped everywhere or nowhere.
func TestEventsKeepTheirEncodingInsideOtherAnswers(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob").Id
	w.send(ann, c, "1", "a\u2028b\u2029c\x7fd</script>\u00e9\U0001f600")
	log := w.must(200, request{method: "GET", path: "/v1/conversations/" + c + "/events?after=1", token: bob.Token}, nil)
	var page struct {
		Events []jsontext.Value `json:"events"`
	}
	must(t, json.Unmarshal(log.body, &page))
	if len(page.Events) != 1 || !bytes.Contains(page.Events[0], []byte(`a\u2028b\u2029c\u007fd</script>`)) {
		t.Fatalf("the log: %s", log.body)
	}
	event := string(page.Events[0])
	for _, path := range []string{"/v1/conversations", "/v1/conversations/" + c, "/v1/inbox", "/v1/inbox?max_bytes=4000"} {
		if a := w.must(200, request{method: "GET", path: path, token: bob.Token}, nil); !strings.Contains(string(a.body), event) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	state := strings.TrimSuffix(event, "}")
	for _, path := range []string{"/messages", "/messages?max_bytes=4000", "/messages/2"} {
		if a := w.must(200, request{method: "GET", path: "/v1/conversations/" + c + path, token: bob.Token}, nil); !strings.Contains(string(a.body), state) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if snapshot := w.inboxStream(bob.Token, "", nil).must(); snapshot.event != "snapshot" || !strings.Contains(snapshot.data, event) {
		t.Errorf("%+v", snapshot)
	}
}

// A last message that is escapes from end to end keeps a snapshot to its bytes.
func TestSnapshotOfEscapesKeepsToMaxBytes(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	for n := range 2 {
		w.send(ann, w.group(ann, "bob").Id, "1", strings.Repeat([]string{"\u2028", "\x7f"}[n], 1000))
	}
	for _, most := range []int{640, 1000, 2000, 4000, 8000} {
		a := w.must(200, request{method: "GET", path: fmt.Sprint("/v1/inbox?max_bytes=", most), token: bob.Token}, nil)
		if len(a.body) > most {
			t.Errorf("%d bytes for max_bytes=%d: %s", len(a.body), most, a.body)
		}
	}
}
