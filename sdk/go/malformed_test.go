package holdline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	holdline "holdline/sdk/go"
)

// strange is event 2 as no contract has it, by the word that tells what is wrong with it.
var strange = map[string]string{
	"text":      `{"conversation_id":"` + cid + `","seq":2,"type":"message","text":{"parts":["text 2"]}}`,
	"yesterday": `{"conversation_id":"` + cid + `","seq":2,"type":"message","accepted_at":"yesterday","text":"text 2"}`,
	"seq":       `{"conversation_id":"` + cid + `","seq":"2","type":"message","text":"text 2"}`,
}

// raw is an answer or a frame of just these bytes.
func raw(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body))
}

// among is a page of events 1 to 3, or of those after a place, with one that cannot be read.
func among(odd string, after string) string {
	var events []string
	for i, e := range []any{entry(1), json.RawMessage(odd), entry(3)} {
		b, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		if at := fmt.Sprint(i + 1); at > after {
			events = append(events, string(b))
		}
	}
	return `{"events":[` + strings.Join(events, ",") + `],"receipts":[],"cursor":"3-epo","more":false,"first_seq":1,"last_seq":3}`
}

// An event that cannot be read ends the following, after some tries, with its place, and everything before it was given.
// It is not passed over unless the application says so.
func TestAnEventThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, odd := range strange {
		for _, o := range []holdline.FollowOptions{
			{Conversation: cid, FromStart: true, Transport: holdline.Stream},
			{Conversation: cid, FromStart: true, Transport: holdline.LongPoll},
			{Cursor: "1-epo", Transport: holdline.Stream},
			{Cursor: "1-epo", Positions: map[string]int64{cid: 1}, Transport: holdline.LongPoll},
		} {
			t.Run(fmt.Sprint(name, o.Conversation, o.Transport), func(t *testing.T) {
				t.Parallel()
				s, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					after := r.Header.Get("Last-Event-ID") + r.URL.Query().Get("after") + r.URL.Query().Get("cursor")
					after, _, _ = strings.Cut(after, "-")
					if !strings.HasSuffix(r.URL.Path, "/stream") {
						raw(w, among(odd, after))
						return
					}
					frames := []string{heartbeat(3)}
					for i, f := range []string{entryFrame(1), "event: message\ndata: " + odd + "\nid: 2-epo\n\n", entryFrame(3)} {
						if fmt.Sprint(i+1) > after {
							frames = append(frames, f)
						}
					}
					streams(w, r, true, frames...)
				})
				got, err := follow(t, c, o, upTo(3))
				want := []string{}
				if o.FromStart {
					want = append(want, "message 1")
				}
				expect(t, got, nil, want...)
				var bad *holdline.MalformedError
				if !errors.As(err, &bad) || bad.What != "event" || bad.Cursor != "1-epo" || bad.ConversationID != cid || !strings.Contains(err.Error(), name) {
					t.Fatalf("%v, %+v", err, bad)
				}
				if n := len(s.called()); n != 5 {
					t.Errorf("it was asked for %d times", n)
				}
				if name == "seq" {
					if bad.Seq != 0 || !strings.Contains(err.Error(), `"1-epo"`) {
						t.Errorf("seq %d: %v", bad.Seq, err)
					}
					return
				}
				if bad.Seq != 2 || !strings.Contains(err.Error(), cid) || !strings.Contains(err.Error(), "seq 2") {
					t.Errorf("seq %d: %v", bad.Seq, err)
				}
				o.FromStart, o.Cursor, o.Positions = false, bad.Cursor, map[string]int64{cid: bad.Seq}
				got, err = follow(t, c, o, upTo(3))
				expect(t, got, err, "message 3")
			})
		}
	}
}

// What was garbled on the way is asked for again, and comes right.
func TestWhatIsGarbledForAWhile(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		second := entryFrame(2)
		if n < 4 {
			second = "event: message\ndata: " + strange["text"] + "\nid: 2-epo\n\n"
		}
		if n == 0 {
			second = entryFrame(1) + second
		}
		streams(w, r, true, heartbeat(2), second)
	})
	got, err := follow(t, c, one(holdline.FollowOptions{FromStart: true, Transport: holdline.Stream}), upTo(2))
	expect(t, got, err, "message 1", "message 2")
}

// An answer that was cut where nothing tells its length, and JSON that is somebody else's, end nothing.
func TestJSONThatIsNotTheServers(t *testing.T) {
	t.Parallel()
	for _, o := range []holdline.FollowOptions{one(holdline.FollowOptions{FromStart: true}), one(holdline.FollowOptions{}), {FromStart: true}} {
		for _, body := range []string{among(strange["text"], "")[:99], "{}"} {
			o.Transport = holdline.LongPoll
			_, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
				switch {
				case n < 12:
					raw(w, body)
				case strings.HasSuffix(r.URL.Path, "/messages"):
					says(w, http.StatusOK, holdline.MessagePage{Cursor: "0-epo"})
				default:
					raw(w, among(`{"conversation_id":"`+cid+`","seq":2,"type":"message"}`, ""))
				}
			})
			got, err := follow(t, c, o, upTo(3))
			want := []string{"message 1", "message 2", "message 3"}
			if !o.FromStart || o.Conversation == "" {
				want = append([]string{"snapshot"}, want...)
			}
			expect(t, got, err, want...)
		}
	}
}

// Whatever else cannot be read is told as well.
func TestWhatElseCannotBeRead(t *testing.T) {
	t.Parallel()
	receipt := `{"conversation_id":"` + cid + `","user_id":"u","read_seq":"all"}`
	for name, c := range map[string]struct {
		o      holdline.FollowOptions
		frames []string // of a stream
		body   string   // of anything else
		what   string
	}{
		"receipt":     {o: holdline.FollowOptions{Cursor: "c"}, frames: []string{"event: receipt\ndata: " + receipt + "\n\n"}, what: "receipt"},
		"snapshot":    {frames: []string{"event: snapshot\ndata: {\"conversations\":{}}\nid: c\n\n"}, what: "snapshot"},
		"heartbeat":   {o: one(holdline.FollowOptions{Cursor: "1-e"}), frames: []string{"event: heartbeat\ndata: {\"last_seq\":\"3\"}\n\n"}, what: "heartbeat"},
		"ending":      {o: holdline.FollowOptions{Cursor: "c"}, frames: []string{"event: end\ndata: {\"code\":7}\n\n"}, what: "ending"},
		"no object":   {o: holdline.FollowOptions{Cursor: "c"}, frames: []string{"event: message\ndata: [1]\nid: d\n\n"}, what: "event"},
		"no JSON":     {o: holdline.FollowOptions{Cursor: "c"}, frames: []string{"event: message\ndata: <html>\nid: d\n\n"}, what: "event"},
		"receipts":    {o: holdline.FollowOptions{Cursor: "c", Transport: holdline.LongPoll}, body: `{"events":[],"receipts":[` + receipt + `],"cursor":"d"}`, what: "answer"},
		"no place":    {o: holdline.FollowOptions{Cursor: "c", Transport: holdline.LongPoll}, body: `{"events":[{"type":"message"}],"receipts":[],"cursor":"d"}`, what: "event"},
		"messages":    {o: one(holdline.FollowOptions{}), body: `{"messages":[{"seq":"2"}],"cursor":"3-e"}`, what: "answer"},
		"in a hole":   {o: one(holdline.FollowOptions{Cursor: "1-e"}), frames: []string{entryFrame(3)}, body: `{"events":[` + strange["text"] + `],"cursor":"2-e"}`, what: "event"},
		"of the hole": {o: one(holdline.FollowOptions{Cursor: "1-e"}), frames: []string{entryFrame(3)}, body: `{"events":{},"cursor":"2-e"}`, what: "answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
				if strings.HasSuffix(r.URL.Path, "/stream") {
					streams(w, r, true, c.frames...)
					return
				}
				raw(w, c.body)
			})
			if c.frames != nil {
				c.o.Transport = holdline.Stream
			}
			got, err := follow(t, client, c.o, func([]string, holdline.Update) bool { return false })
			var bad *holdline.MalformedError
			if !errors.As(err, &bad) || bad.What != c.what || bad.Cursor != c.o.Cursor {
				t.Fatalf("%v after %q", err, got)
			}
		})
	}
}

// A frame of an unknown kind that is no entry of a log is passed over, whatever stands in it.
func TestAnUnknownFrameOfStrangeTypes(t *testing.T) {
	t.Parallel()
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 0 {
			streams(w, r, false, heartbeat(2), entryFrame(1), "event: typing\ndata: {\"text\":{\"of\":\"bob\"}}\nid: 1-epo2\n\n")
			return
		}
		streams(w, r, true, heartbeat(2), entryFrame(2))
	})
	got, err := follow(t, c, one(holdline.FollowOptions{FromStart: true, Transport: holdline.Stream}), upTo(2))
	expect(t, got, err, "message 1", "message 2")
	if calls := s.called(); len(calls) != 2 || !strings.HasSuffix(calls[1], " 1-epo2") {
		t.Errorf("%q", calls)
	}
}

// Only what follows one another is the same: what came right in between was an accident.
func TestWhatIsGarbledNowAndThen(t *testing.T) {
	t.Parallel()
	for _, o := range []holdline.FollowOptions{{Transport: holdline.Stream}, {Transport: holdline.LongPoll}} {
		t.Run(string(o.Transport), func(t *testing.T) {
			t.Parallel()
			_, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
				odd := n%4 != 3
				switch {
				case o.Transport == holdline.LongPoll && n >= 40:
					raw(w, `{"events":[{"conversation_id":"`+cid+`","seq":2,"type":"message"}],"cursor":"2-epo"}`)
				case o.Transport == holdline.LongPoll && odd:
					raw(w, `{"events":{},"cursor":"1-epo"}`)
				case o.Transport == holdline.LongPoll:
					raw(w, `{"events":[],"cursor":"1-epo"}`)
				case n >= 40:
					streams(w, r, true, heartbeat(2), entryFrame(2))
				case odd:
					streams(w, r, true, heartbeat(1), "event: heartbeat\ndata: {\"last_seq\":\"1\"}\n\n")
				default:
					streams(w, r, false, heartbeat(1))
				}
			})
			o.Conversation, o.Cursor = cid, "1-epo"
			got, err := follow(t, c, o, upTo(2))
			expect(t, got, err, "message 2")
		})
	}
}

// An entry of a log that does not say where it stands is no frame of an unknown kind.
func TestAnEventWithoutAPlace(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{"seq":2,"type":"message"}`, `{"conversation_id":"` + cid + `","seq":null}`, `null`} {
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			streams(w, r, true, heartbeat(2), "event: message\ndata: "+data+"\nid: 2-epo\n\n", entryFrame(3))
		})
		got, err := follow(t, c, holdline.FollowOptions{Cursor: "1-epo", Transport: holdline.Stream}, upTo(3))
		var bad *holdline.MalformedError
		if !errors.As(err, &bad) || bad.What != "event" || bad.Cursor != "1-epo" || len(got) > 0 {
			t.Errorf("%s: %v after %q", data, err, got)
		}
	}
}

// A stream of which not even the first heartbeat can be read is not live: polls have their turn.
func TestStreamsThatAreGarbledFromTheBeginning(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if strings.HasSuffix(r.URL.Path, "/stream") {
			streams(w, r, true, "event: heartbeat\ndata: {}}\n\n")
			return
		}
		raw(w, among(`{"conversation_id":"`+cid+`","seq":2,"type":"message"}`, "1"))
	})
	got, err := follow(t, c, one(holdline.FollowOptions{Cursor: "1-epo"}), upTo(3))
	expect(t, got, err, "message 2", "message 3")
}
