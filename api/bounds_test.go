package api

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdline"
	"holdline/internal/contract"
	"holdline/internal/eventjson"
	"holdline/poller"
	"holdline/store"
)

// worst are the largest events there can be, as far as they cannot be cut.
func worst() (all []store.Event) {
	members := make([]string, 1001)
	for i := range members {
		members[i] = `"4Jx0aQ7bTz1"`
	}
	e := store.Event{
		ConversationID: math.MaxInt64, Seq: math.MaxInt64 - 1, ThroughSeq: 0, SenderID: math.MaxInt64, AcceptedAt: 1_700_000_000_123,
	}
	message := e
	message.Type, message.TargetSeq, message.ClientID = store.EventMessage, math.MaxInt64, strings.Repeat(`"`, 64)
	for _, text := range []string{"x", strings.Repeat("\x01", 9000), strings.Repeat("\U0001F600", 4000), strings.Repeat(`\"`, 8000), strings.Repeat("é\u2028", 3000)} {
		message.Text = text
		all = append(all, message)
	}
	created := e
	created.Type, created.Extra = "created", `"kind":"group","title":"`+strings.Repeat("\U0001F600", 200)+`","members":[`+strings.Join(members, ",")+`]`
	title := e
	title.Type, title.Extra = "title", `"title":"`+strings.Repeat(`\\`, 200)+`"`
	member := e
	member.Type, member.SubjectID, member.Action, member.Extra = store.EventMember, math.MaxInt64, "removed", `"role":"member"`
	hidden := e
	hidden.Type, hidden.ThroughSeq = store.EventHidden, math.MaxInt64
	return append(all, created, title, member, hidden)
}

// Every event fits into the least max_bytes, in every form, in a page with
// everything else that a page can have, and in a frame.
func TestTheLeastMaxBytesIsEnough(t *testing.T) {
	w := newWorld(t, nil)
	const epoch = "12345678901234567890"
	cursor := strings.Repeat("x", maxInboxCursor)
	for _, e := range worst() {
		f := poller.FrameOf(&e, epoch, e.SenderID)
		for _, compact := range []bool{false, true} {
			check := func(what string, got []byte) {
				t.Helper()
				if len(got) > minMaxBytes || !utf8.Valid(got) {
					t.Errorf("%s, compact %v: %d bytes of a %s: %s", what, compact, len(got), e.Type, got)
				}
			}
			page := pageForm{compact: compact, most: minMaxBytes - eventPageTail - envelopeBytes}
			tail := pageTail{cursor: math.MaxInt64 - 1, epoch: epoch, more: true, first: math.MaxInt64, last: math.MaxInt64}
			check("page", tail.append(page.append(w.Server, []byte(`{"status":200,"body":}{"events":[`), f, e.ConversationID), compact))
			page = pageForm{compact: compact, inbox: true, most: minMaxBytes - inboxPageTail - emptySnapshot - envelopeBytes}
			inbox := page.append(w.Server, []byte(`{"status":200,"body":}{"events":[`), f, e.ConversationID)
			schema := "Event"
			if compact {
				schema = "CompactEvent"
			}
			contract.CheckJSON(t, schema, inbox[len(`{"status":200,"body":}{"events":[`):])
			check("inbox", append(inbox, `],"receipts":[],"cursor":"`+cursor+`","more":false,"truncated":true,"snapshot":{"conversations":[],"more":false,"receipts":[]}}`...))
			frame := streamForm{compact: compact, maxBytes: minMaxBytes}
			check("frame", frame.appendFrame(nil, f, e.ConversationID, f.IDLine()))
			check("frame of an inbox", frame.appendFrame(nil, f, e.ConversationID, []byte("\nid: "+cursor+"\n\n")))
		}
		for _, quoted := range []bool{false, true} {
			line := pageForm{text: true, inbox: true, quoted: quoted, most: minMaxBytes}
			if quoted {
				line.most -= textEnvelope + envelopeBytes
			}
			got := line.append(w.Server, nil, f, e.ConversationID)
			if line.cost(got) > line.most || got[len(got)-1] != '\n' || !utf8.Valid(got) {
				t.Errorf("%d bytes: %q", line.cost(got), got)
			}
		}
	}
}

// What the contract says is what was tried above.
func TestTheContractNamesTheLeastMaxBytes(t *testing.T) {
	operations, err := loadContract(holdline.OpenAPI)
	must(t, err)
	for _, id := range []string{"listEvents", "streamEvents", "getInbox", "streamInbox", "listMessages"} {
		if p := operations[id].query["max_bytes"]; p.rule == nil || p.min != minMaxBytes {
			t.Errorf("%s: %+v", id, p)
		}
	}
}

func TestCutEvents(t *testing.T) {
	for _, text := range []string{strings.Repeat("plain ", 40), strings.Repeat("é\U0001F600", 40), strings.Repeat("\x01\n\"\\", 40)} {
		e := store.Event{ConversationID: 5, Seq: 7, Type: store.EventMessage, SenderID: 9, Text: text, AcceptedAt: 1, TargetSeq: 3}
		whole := eventjson.Append(nil, &e, false)
		for most := 200; most <= len(whole)+1; most++ {
			got := eventjson.Cut(nil, whole, most)
			var back Event
			must(t, json.Unmarshal(got, &back, json.RejectUnknownMembers(true)))
			if len(got) > most || !strings.HasPrefix(text, back.Text) || back.Truncated == (most >= len(whole)) || back.ReplyTo != 3 {
				t.Fatalf("%d bytes, at most %d: %s", len(got), most, got)
			}
			if back.Truncated && len(got) < most-6 {
				t.Fatalf("%d bytes where %d would do", len(got), most)
			}
		}
	}
}

func TestCutLines(t *testing.T) {
	line := []byte("12\ttime\tmessage\twho\t" + `a\\b\n\u001bc` + "\U0001F600 end\n")
	for most := 24; most < len(line); most++ {
		got := cutLine(slices.Clone(line), 0, most)
		body, cut := strings.CutSuffix(string(got), "\\\n")
		if len(got) > most || !cut || !strings.HasPrefix(string(line), body) || !utf8.ValidString(body) || strings.HasSuffix(strings.ReplaceAll(body, `\\`, ""), `\`) {
			t.Fatalf("%d: %q", most, got)
		}
	}
}

// long is a group with texts of all lengths, and its log.
func (w *world) long() (ann, bob account, c string, log []Event) {
	ann, bob = w.signUp("ann"), w.signUp("bob")
	c = w.group(ann, "bob").Id
	for n, text := range []string{"short", strings.Repeat("long ", 3000), "é", strings.Repeat("\U0001F600\n", 2000), strings.Repeat(`"\`, 300), "x", "y", strings.Repeat("\x1b", 999), "last"} {
		w.send([]account{ann, bob}[n%2], c, fmt.Sprint(n), text)
	}
	return ann, bob, c, w.events(bob, c, "").Events
}

// fitting holds events that came within a bound against the log.
func fitting(t *testing.T, got []Event, log []Event) {
	t.Helper()
	if len(got) != len(log) {
		t.Fatalf("%d events of %d", len(got), len(log))
	}
	for i, e := range got {
		if e.Seq != log[i].Seq || !strings.HasPrefix(log[i].Text, e.Text) || e.Truncated == (e.Text == log[i].Text) {
			t.Errorf("%d: truncated %v, %d of %d bytes", e.Seq, e.Truncated, len(e.Text), len(log[i].Text))
		}
	}
}

func TestPagesWithinMaxBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob, c, log := w.long()
	path := "/v1/conversations/" + c
	for _, most := range []int{640, 5000, 1 << 20} {
		for _, form := range []string{"", "&compact=1", "&envelope=1"} {
			get := func(path string, v any) {
				t.Helper()
				a := w.must(200, request{method: "GET", path: fmt.Sprintf("%s&max_bytes=%d%s", path, most, form), token: bob.Token}, nil)
				if len(a.body) > most {
					t.Errorf("%s: %d bytes, at most %d: %s", path, len(a.body), most, a.body)
				}
				if strings.Contains(form, "envelope") {
					var e envelope
					must(t, json.Unmarshal(a.body, &e))
					a.body = e.Body
				}
				must(t, json.Unmarshal(a.body, v))
			}
			expand := func(x *expander, in []jsontext.Value) (out []Event) {
				for _, v := range in {
					if strings.Contains(form, "compact") {
						out = append(out, x.event(string(v)))
						continue
					}
					var e Event
					must(t, json.Unmarshal(v, &e))
					out = append(out, e)
				}
				return out
			}
			var forward, back, inbox []Event
			var page compactPage
			for page.More = true; page.More; {
				cursor := orZero(page.Cursor)
				page = compactPage{}
				get(path+"/events?after="+cursor, &page)
				forward = append(forward, expand(&expander{t: t, conversation: c}, page.Events)...)
			}
			fitting(t, forward, log)
			for before, more := int64(99), true; more; before = back[0].Seq {
				page = compactPage{}
				get(fmt.Sprint(path, "/events?before=", before), &page)
				back = append(expand(&expander{t: t, conversation: c}, page.Events), back...)
				more = page.More
			}
			fitting(t, back, log)
			query := "?from=start"
			for more := true; more; {
				page = compactPage{}
				get("/v1/inbox"+query, &page)
				inbox = append(inbox, expand(&expander{t: t}, page.Events)...)
				more, query = page.More, "?cursor="+page.Cursor
			}
			fitting(t, inbox, log)
			if strings.Contains(form, "compact") {
				continue
			}
			var older, newer []Message
			var state MessagePage
			for before, more := int64(99), true; more; before = older[0].Seq {
				state = MessagePage{}
				get(fmt.Sprint(path, "/messages?before=", before), &state)
				older, more = append(slices.Clone(state.Messages), older...), state.More
			}
			for after, more := int64(0), true; more; after = newer[len(newer)-1].Seq {
				state = MessagePage{}
				get(fmt.Sprint(path, "/messages?after=", after), &state)
				newer, more = append(newer, state.Messages...), state.More
			}
			for i, m := range newer {
				if m.Seq != log[i+1].Seq || older[i].Seq != m.Seq || !strings.HasPrefix(log[i+1].Text, m.Text) || m.Truncated == (m.Text == log[i+1].Text) || m.StateSeq != m.Seq {
					t.Errorf("%+v", m)
				}
			}
			if len(newer) != len(log)-1 || len(older) != len(newer) {
				t.Errorf("%d and %d messages", len(newer), len(older))
			}
		}
		for _, form := range []string{"", "&envelope=1"} {
			got, after := "", "0"
			for range 2 * len(log) {
				a := w.must(200, request{method: "GET", path: fmt.Sprintf("%s/events?after=%s&max_bytes=%d%s", path, after, most, form), token: ann.Token, header: map[string]string{"Accept": "text/plain"}}, nil)
				if len(a.body) > most {
					t.Errorf("%d bytes of text, at most %d", len(a.body), most)
				}
				text := string(a.body)
				if form != "" {
					var e envelope
					must(t, json.Unmarshal(a.body, &e))
					must(t, json.Unmarshal(e.Body, &text))
				}
				got, after = got+text, a.header.Get("Holdline-Cursor")
			}
			if n := strings.Count(got, "\n"); n != len(log) || !strings.Contains(got, "\tlong long") || most < 5000 && !strings.Contains(got, "\\\n") {
				t.Errorf("%d lines of %d", n, len(log))
			}
		}
	}
}

func TestFramesWithinMaxBytes(t *testing.T) {
	w := newWorld(t, nil)
	_, bob, c, log := w.long()
	for _, most := range []int{640, 2000, 30000} {
		for _, path := range []string{"/v1/conversations/" + c + "/stream?after=0", "/v1/inbox/stream?from=start"} {
			for _, compact := range []int{0, 1} {
				s := w.wire(bob, fmt.Sprintf("%s&max_bytes=%d&compact=%d", path, most, compact), "text/event-stream")
				x := &expander{t: t, conversation: c}
				var got []Event
				for len(got) < len(log) {
					f := s.until("\n\n")
					if len(f) > most {
						t.Errorf("a frame of %d bytes, at most %d: %.100s", len(f), most, f)
					}
					if strings.Contains(f, `"seq"`) && !strings.Contains(f, "event: snapshot") {
						got = append(got, x.event(dataOf(f)))
					}
				}
				fitting(t, got, log)
			}
			s := w.wire(bob, fmt.Sprintf("%s&max_bytes=%d", path, most), "text/plain")
			for lines := 0; lines < len(log); {
				line := s.until("\n")
				if len(line) > most {
					t.Errorf("a line of %d bytes", len(line))
				}
				if strings.Count(line, "\t") > 3 {
					lines++
				}
			}
		}
	}
}

// A snapshot lists what fits, and tells where the rest is.
func TestSnapshotWithinMaxBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	read := map[string]int{}
	for n := range 20 {
		c := w.group(ann, "bob")
		w.send(ann, c.Id, "1", strings.Repeat("text ", 40*n+1))
		read[c.Id] = 2
	}
	w.must(204, request{method: "POST", path: "/v1/acks", token: bob.Token, body: map[string]any{"read": read}}, nil)
	listed := -1
	for _, most := range []int{640, 1000, 3000, 20000, 1 << 20} {
		var page InboxPage
		a := w.must(200, request{method: "GET", path: fmt.Sprint("/v1/inbox?max_bytes=", most), token: ann.Token}, &page)
		if len(a.body) > most {
			t.Errorf("%d bytes, at most %d", len(a.body), most)
		}
		n := len(page.Snapshot.Conversations)
		if n < listed || page.Snapshot.More != (n < 20) || most == 1000 && n == 0 {
			t.Errorf("%d bytes list %d conversations, fewer %d, more %v", most, n, listed, page.Snapshot.More)
		}
		listed = n
		rest, next := n, page.Snapshot.Next
		for more := page.Snapshot.More; more; {
			var list ConversationList
			query := "?limit=7"
			if next != "" {
				query += "&after=" + url.QueryEscape(next)
			}
			w.must(200, request{method: "GET", path: "/v1/conversations" + query, token: ann.Token}, &list)
			rest, more, next = rest+len(list.Conversations), list.More, list.Next
		}
		if rest != 20 || len(page.Snapshot.Receipts) < n {
			t.Errorf("%d conversations in all, %d receipts", rest, len(page.Snapshot.Receipts))
		}
		f := w.wire(ann, fmt.Sprint("/v1/inbox/stream?max_bytes=", most), "text/event-stream").frame(nil)
		if len(f) > most || !strings.HasPrefix(f, "event: snapshot\n") {
			t.Errorf("a snapshot of %d bytes, at most %d", len(f), most)
		}
		contract.CheckJSON(t, "InboxSnapshot", []byte(dataOf(f)))
	}
	if listed != 20 {
		t.Errorf("%d conversations in a mebibyte", listed)
	}
}
