package poller

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"holdline/store"
)

// dispatched is an event as an EventSource dispatches it.
type dispatched struct{ event, data, lastID string }

// eventSource reads a stream as WHATWG HTML section 9.2.6 says: it knows
// nothing of how the stream was written. Whatever is not ended by an empty
// line is discarded.
func eventSource(stream []byte) (out []dispatched) {
	text := strings.ToValidUTF8(string(stream), "\uFFFD")
	text = strings.TrimPrefix(text, "\uFEFF")
	var event, data, id, lastID string
	var hasData bool
	for text != "" {
		end := strings.IndexAny(text, "\r\n")
		if end < 0 {
			break // a line without its end
		}
		line, next := text[:end], end+1
		if text[end] == '\r' && strings.HasPrefix(text[next:], "\n") {
			next++
		}
		text = text[next:]
		if line == "" {
			lastID = id
			if hasData {
				if event == "" {
					event = "message"
				}
				out = append(out, dispatched{event, strings.TrimSuffix(data, "\n"), lastID})
			}
			event, data, hasData = "", "", false
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			event = value
		case "data":
			data, hasData = data+value+"\n", true
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		}
	}
	return out
}

// FuzzSSE: whatever an event holds, its frame is read back as that event, and
// cut anywhere it yields nothing at all.
func FuzzSSE(f *testing.F) {
	f.Add("hello", "c1", int64(1), int64(5), "e1")
	f.Add("a\r\nb\rc\n\nid: 9\n\ndata: x", "x\"\n", int64(7), int64(5), "e1")
	f.Add(" leading, trailing \u2028\u2029\U0001F600\x00\xff", "", int64(1<<62), int64(6), "Zz9")
	f.Fuzz(func(t *testing.T, text, clientID string, seq, viewer int64, epoch string) {
		if seq <= 0 || strings.Trim(epoch, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return // no such cursor
		}
		e := store.Event{ConversationID: conv, Seq: seq, Type: store.EventMessage, SenderID: 5, ClientID: clientID, Text: text, AcceptedAt: 1}
		frame := frameFor(encode(&e, epoch), store.ID(viewer)).AppendSSE(nil)
		id := string(AppendCursor(nil, seq, epoch))

		got := eventSource(frame)
		if len(got) != 1 || got[0].event != "message" || got[0].lastID != id {
			t.Fatalf("frame %q was read as %+v", frame, got)
		}
		var back struct {
			Seq      int64   `json:"seq"`
			Text     string  `json:"text"`
			ClientID *string `json:"client_id"`
		}
		if err := json.Unmarshal([]byte(got[0].data), &back); err != nil {
			t.Fatalf("%v in %q", err, got[0].data)
		}
		if back.Seq != seq || back.Text != valid(text) {
			t.Fatalf("text %q came back as %q", text, back.Text)
		}
		if own := viewer == 5 && clientID != ""; own != (back.ClientID != nil) || own && *back.ClientID != valid(clientID) {
			t.Fatalf("client_id %v for viewer %d", back.ClientID, viewer)
		}

		// A connection that breaks inside the second frame: the first is whole,
		// the second has not happened.
		e.Seq--
		first := frameFor(encode(&e, epoch), store.ID(viewer)).AppendSSE(nil)
		for cut := range frame {
			got := eventSource(append(bytes.Clone(first), frame[:cut]...))
			if len(got) != 1 || got[0].lastID != string(AppendCursor(nil, seq-1, epoch)) {
				t.Fatalf("cut at %d: %+v", cut, got)
			}
		}
	})
}

// valid is what JSON can carry of a string.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
