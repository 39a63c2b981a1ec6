package holdline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	holdline "holdline/sdk/go"
)

// told is an update in a few letters.
func told(u holdline.Update) string {
	switch u.Kind {
	case holdline.KindEvent:
		return fmt.Sprintf("%s %d", u.Event.Type, u.Event.Seq)
	case holdline.KindMissing:
		return fmt.Sprintf("missing %d-%d", u.From, u.To)
	default:
		return string(u.Kind)
	}
}

// follow reads until enough is true of what was told, or an error comes.
func follow(t *testing.T, c *holdline.Client, o holdline.FollowOptions, enough func(all []string, last holdline.Update) bool) ([]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.Pace = quick
	var all []string
	for u, err := range c.Follow(ctx, o) {
		if err != nil {
			return all, err
		}
		all = append(all, told(u))
		if enough(all, u) {
			return all, nil
		}
	}
	t.Fatal("the loop ended without an error")
	return nil, nil
}

func upTo(seq int64) func([]string, holdline.Update) bool {
	return func(_ []string, u holdline.Update) bool { return u.CompleteTo >= seq }
}

func expect(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	got = slices.DeleteFunc(got, func(s string) bool { return s == string(holdline.KindProgress) })
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%q and %v instead of %q", got, err, want)
	}
}

func one(o holdline.FollowOptions) holdline.FollowOptions {
	o.Conversation = cid
	return o
}

const eventsPath = "/v1/conversations/" + cid + "/events"

// What a stream leaves out is fetched, what it repeats is left out, and what cannot be had is named.
func TestHolesAreFilled(t *testing.T) {
	t.Parallel()
	fills := 0
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path != eventsPath {
			streams(w, r, true, heartbeat(9), entryFrame(1), entryFrame(2), entryFrame(2), entryFrame(1), entryFrame(5), entryFrame(9))
			return
		}
		if fills++; fills == 1 { // comes to nothing: the stream is read again from 2 on
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		p := holdline.EventPage{Cursor: "4-epo", FirstSeq: 1, LastSeq: 9}
		if r.URL.Query().Get("after") == "2" {
			p.Events = []holdline.Event{entry(3), entry(4), entry(5)}
		} else {
			p.Events = []holdline.Event{entry(8), entry(9)}
		}
		says(w, http.StatusOK, p)
	})
	got, err := follow(t, c, one(holdline.FollowOptions{FromStart: true}), upTo(9))
	expect(t, got, err, "message 1", "message 2", "message 3", "message 4", "message 5", "missing 6-7", "message 8", "message 9")
}

// What is not the user's to read any more is named as missing.
func TestAHoleThatStays(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path == eventsPath {
			refuses(w, http.StatusNotFound, "not_found", "")
			return
		}
		streams(w, r, true, heartbeat(9), entryFrame(4))
	})
	got, err := follow(t, c, one(holdline.FollowOptions{Cursor: "1-epo"}), upTo(4))
	expect(t, got, err, "missing 2-3", "message 4")
}

// A stream that brings heartbeats, but not what they speak of, is helped out.
func TestEventsThatOnlyHeartbeatsKnowOf(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path == eventsPath {
			says(w, http.StatusOK, holdline.EventPage{Cursor: "3-epo", Events: []holdline.Event{entry(2), entry(3)}, FirstSeq: 1, LastSeq: 3})
			return
		}
		streams(w, r, true, heartbeat(3), entryFrame(1), heartbeat(3), heartbeat(3))
	})
	got, err := follow(t, c, one(holdline.FollowOptions{FromStart: true}), upTo(3))
	expect(t, got, err, "message 1", "message 2", "message 3")
}

// Types that are not known are handed on, frames that are no events are passed over, and both advance the cursor.
func TestUnknownFrames(t *testing.T) {
	t.Parallel()
	strange := frame("poll_opened", map[string]any{"conversation_id": cid, "seq": 2, "type": "poll_opened", "options": []int{1}}, "2-epo")
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		switch n {
		case 0:
			streams(w, r, false, heartbeat(9), entryFrame(1), strange, "event: typing\ndata: {\"user_id\":\"x\"}\n\n", ": nudge\n\n", "id: 2-epo2\n\n")
		default:
			streams(w, r, true, heartbeat(9), frame("hidden", map[string]any{"conversation_id": cid, "seq": 3, "through_seq": 8, "type": "hidden"}, "8-epo"), entryFrame(9))
		}
	})
	got, err := follow(t, c, one(holdline.FollowOptions{FromStart: true, Transport: holdline.Stream}), upTo(9))
	expect(t, got, err, "message 1", "poll_opened 2", "hidden 3", "message 9")
	if calls := s.called(); len(calls) != 2 || !strings.HasSuffix(calls[1], " 2-epo2") {
		t.Errorf("%q", calls)
	}
}

// Whatever is wrong with a cursor, it is of no use to come back with it.
func TestACursorThatIsRefused(t *testing.T) {
	t.Parallel()
	reset := frame("reset", holdline.Problem{Status: 410, Code: "cursor_reset", Title: "Gone", Detail: "No."}, "")
	for name, refusal := range map[string]func(w http.ResponseWriter, r *http.Request){
		"reset": func(w http.ResponseWriter, r *http.Request) { streams(w, r, false, "retry: 60000\n"+reset) },
		"410":   func(w http.ResponseWriter, _ *http.Request) { refuses(w, http.StatusGone, "cursor_reset", "cursor") },
		"400":   func(w http.ResponseWriter, _ *http.Request) { refuses(w, http.StatusBadRequest, "invalid", "cursor") },
	} {
		for _, transport := range []holdline.Transport{holdline.Stream, holdline.LongPoll} {
			if name == "reset" && transport == holdline.LongPoll {
				continue
			}
			s, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
				switch {
				case n == 0:
					refusal(w, r)
				case transport == holdline.LongPoll:
					says(w, http.StatusOK, holdline.InboxPage{Cursor: "abc", Events: []holdline.Event{}, Receipts: []holdline.InboxReceipt{}})
				default:
					streams(w, r, true, heartbeat(0), frame("snapshot", holdline.InboxSnapshot{}, "abc"))
				}
			})
			got, err := follow(t, c, holdline.FollowOptions{Cursor: "old", Transport: transport}, func(_ []string, u holdline.Update) bool { return u.Cursor == "abc" })
			expect(t, got, err, "reset", "snapshot")
			if last := s.called()[1]; strings.Contains(last, "old") {
				t.Errorf("%s: it came back as %q", name, last)
			}
		}
	}
}

// What does not get better by waiting ends the following; the rest does not.
func TestEndings(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{401: "unauthorized", 403: "forbidden", 404: "not_found"} {
		for _, transport := range []holdline.Transport{holdline.Stream, holdline.LongPoll} {
			_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { refuses(w, status, code, "") })
			_, err := follow(t, c, holdline.FollowOptions{Transport: transport}, upTo(1))
			var end *holdline.EndError
			if !errors.As(err, &end) || end.Problem.Code != code {
				t.Errorf("%d: %v", status, err)
			}
		}
	}
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		refuses(w, http.StatusBadRequest, "invalid", "conversation_id")
	})
	var p *holdline.Problem
	if _, err := follow(t, c, one(holdline.FollowOptions{FromStart: true}), upTo(1)); !errors.As(err, &p) || p.Field != "conversation_id" {
		t.Error(err)
	}
	_, c = serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		switch n {
		case 0:
			streams(w, r, false, "retry: 60000\n"+frame("end", holdline.Problem{Status: 429, Code: "rate_limited", Title: "Many", Detail: "No."}, ""))
		case 1:
			w.WriteHeader(http.StatusNoContent)
		case 2:
			refuses(w, http.StatusTooManyRequests, "rate_limited", "")
		case 3:
			w.WriteHeader(http.StatusNotFound) // by no server of ours
		default:
			streams(w, r, true, heartbeat(1), entryFrame(1))
		}
	})
	got, err := follow(t, c, one(holdline.FollowOptions{FromStart: true, Transport: holdline.Stream}), upTo(1))
	expect(t, got, err, "message 1")
}

// The loop may be left at any moment, by break, by its context or by a panic, and nothing is left over: goleak looks.
func TestLeaving(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		streams(w, r, true, heartbeat(3), entryFrame(1), entryFrame(2), entryFrame(3))
	})
	o := one(holdline.FollowOptions{FromStart: true})
	for _, err := range c.Follow(t.Context(), o) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range c.Follow(ctx, o) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Error(last)
	}
	func() {
		defer func() {
			if recover() == nil { // a nil error makes a *runtime.PanicNilError
				t.Error("the panic was swallowed")
			}
		}()
		for _, err := range c.Follow(t.Context(), o) {
			panic(err)
		}
	}()
}

// A poll whose empty answer comes at once, again and again, is not asked for at the speed of the line.
func TestHastyAnswersArePaced(t *testing.T) {
	t.Parallel()
	s, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		says(w, http.StatusOK, holdline.EventPage{Cursor: "1-epo", Events: []holdline.Event{}, FirstSeq: 1, LastSeq: 1})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for _, err := range c.Follow(ctx, one(holdline.FollowOptions{Cursor: "1-epo", Transport: holdline.LongPoll, Pace: holdline.Pace{Min: 40 * time.Millisecond}})) {
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if n := len(s.called()); n < 3 || n > 8 {
		t.Errorf("%d polls", n)
	}
}

// A cursor covers what was given, and nothing that is still to come: in the middle of an inbox's page it is the one
// before, in a conversation's that of the event.
func TestCursorsInTheMiddleOfAPage(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		events := []holdline.Event{entry(2), entry(3), {ConversationId: cid, Seq: 4, ThroughSeq: 6, Type: "hidden"}}
		if r.URL.Path == eventsPath {
			says(w, http.StatusOK, holdline.EventPage{Events: events, Cursor: "6-epo", FirstSeq: 1, LastSeq: 6})
			return
		}
		receipts := []holdline.InboxReceipt{{ConversationId: cid, UserId: "u", ReadSeq: 1}, {ConversationId: cid, UserId: "v", ReadSeq: 1}}
		says(w, http.StatusOK, holdline.InboxPage{Events: events, Receipts: receipts, Cursor: "new"})
	})
	for conversation, want := range map[string][]string{cid: {"2-epo", "3-epo", "6-epo"}, "": {"1-epo", "1-epo", "1-epo", "1-epo", "new"}} {
		var cursors []string
		o := holdline.FollowOptions{Conversation: conversation, Cursor: "1-epo", Transport: holdline.LongPoll}
		_, err := follow(t, c, o, func(all []string, u holdline.Update) bool {
			cursors = append(cursors, u.Cursor)
			return len(all) == len(want)
		})
		if err != nil || !slices.Equal(cursors, want) {
			t.Errorf("%q: %q and %v instead of %q", conversation, cursors, err, want)
		}
	}
}
