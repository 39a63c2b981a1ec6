package storetest

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"holdline/store"
)

func (s *suite) append(t *testing.T) {
	t.Run("stored as answered", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		w.user("bob")
		group := w.group(ann, "", "bob")
		text := "  Zwölf\r\nBoxkämpfer \u2028 🦉 <&> \x01\x7f "
		first, duplicate, err := w.store.Append(w.Context(), store.Send{Actor: ann, ConversationID: group, ClientID: "c 1~", Text: text})
		w.must(err)
		equal(w, "duplicate", duplicate, false)
		if first.AcceptedAt == 0 || first.Stamp == 0 {
			t.Errorf("event %+v", first)
		}
		equal(w, "event", first, store.Event{
			ConversationID: group, Seq: 2, Type: store.EventMessage, SenderID: ann.UserID, ClientID: "c 1~", Text: text,
			AcceptedAt: first.AcceptedAt, Stamp: first.Stamp,
		})
		reply, _, err := w.store.Append(w.Context(), store.Send{Actor: ann, ConversationID: group, ClientID: "c2", Text: "x", ReplyTo: 2})
		w.must(err)
		equal(w, "reply to", reply.TargetSeq, 2)
		events, _, err := w.store.Events(w.Context(), group, 2, 9, 9)
		w.must(err)
		equalSlices(w, "stored", events, []store.Event{first, reply})
	})

	t.Run("repeated", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group, other := w.group(ann, "", "bob"), w.group(ann, "", "bob")
		send := store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: "x"}
		first, _, err := w.store.Append(w.Context(), send)
		w.must(err)
		w.say(bob, group, "between")
		again, duplicate, err := w.store.Append(w.Context(), send)
		w.must(err)
		equal(w, "duplicate", duplicate, true)
		equal(w, "repeat", again, first)

		// From another session too: a client_id is its user's, not its session's.
		elsewhere := send
		elsewhere.Actor.SessionID = w.session(ann.UserID, "other")
		again, duplicate, err = w.store.Append(w.Context(), elsewhere)
		w.must(err)
		equal(w, "duplicate from another session", duplicate, true)
		equal(w, "repeat from another session", again, first)

		for _, change := range []func(s *store.Send){
			func(s *store.Send) { s.Text = "y" },
			func(s *store.Send) { s.ReplyTo = 2 },
		} {
			changed := send
			change(&changed)
			_, _, err = w.store.Append(w.Context(), changed)
			w.wantsField(store.CodeClientIDReused, "client_id", err)
		}
		for _, change := range []func(s *store.Send){
			func(s *store.Send) { s.Actor = bob },
			func(s *store.Send) { s.ConversationID = other },
		} {
			changed := send
			change(&changed)
			_, duplicate, err = w.store.Append(w.Context(), changed)
			w.must(err)
			equal(w, "duplicate of another's or elsewhere", duplicate, false)
		}
	})

	t.Run("repeated at once", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		group := w.group(ann, "")
		var made, repeats, refused atomic.Int32
		var mu sync.Mutex
		places := make(map[int64]bool)
		together(24, func(i int) {
			text := "the same"
			if i%3 == 2 {
				text = "another"
			}
			e, duplicate, err := w.store.Append(w.Context(), store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: text})
			switch {
			case store.CodeOf(err) == store.CodeClientIDReused:
				refused.Add(1)
				return
			case err != nil:
				t.Error(err)
				return
			case duplicate:
				repeats.Add(1)
			default:
				made.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			places[e.Seq] = true
		})
		equal(w, "made", made.Load(), 1)
		equal(w, "places", len(places), 1)
		equal(w, "answered", made.Load()+repeats.Load()+refused.Load(), 24)
		equal(w, "messages", w.number(`SELECT COUNT(*) FROM events WHERE type = 'message'`), 1)
	})

	// The backend's own contract, with the batch made by hand: what is refused
	// is refused alone, and of one client_id the first is stored.
	t.Run("a batch", func(t *testing.T) {
		w := s.world(t)
		ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
		group, other := w.group(ann, "", "bob"), w.group(ann, "")
		stored := w.say(ann, group, "earlier") // 2
		ended := store.Actor{UserID: bob.UserID, SessionID: w.session(bob.UserID, "ended")}
		w.must(w.store.EndSession(w.Context(), bob.UserID, ended.SessionID))
		outcomes := []struct {
			send      store.Send
			code      store.Code
			seq       int64
			duplicate bool
		}{
			{store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: "x"}, "", 3, false},
			{store.Send{Actor: eve, ConversationID: group, ClientID: "1", Text: "x"}, store.CodeNotFound, 0, false},
			{store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: "x"}, "", 3, true},
			{store.Send{Actor: ended, ConversationID: group, ClientID: "2", Text: "x"}, store.CodeUnauthorized, 0, false},
			{store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: "y"}, store.CodeClientIDReused, 0, false},
			{store.Send{Actor: ann, ConversationID: other, ClientID: "1", Text: "x"}, "", 2, false},
			{store.Send{Actor: bob, ConversationID: group, ClientID: "1", Text: "x"}, "", 4, false},
			{store.Send{Actor: ann, ConversationID: group, ClientID: stored.ClientID, Text: stored.Text}, "", 2, true},
			{store.Send{Actor: ann, ConversationID: group, ClientID: stored.ClientID, Text: stored.Text, ReplyTo: 2}, store.CodeClientIDReused, 0, false},
			{store.Send{Actor: ann, ConversationID: store.NewID(), ClientID: "1", Text: "x"}, store.CodeNotFound, 0, false},
			{store.Send{Actor: bob, ConversationID: other, ClientID: "1", Text: "x"}, store.CodeNotFound, 0, false},
			{store.Send{Actor: ann, ConversationID: group, ClientID: "3", Text: "x", ReplyTo: 2}, "", 5, false},
		}
		var items []*store.Append
		for _, o := range outcomes {
			items = append(items, &store.Append{Send: o.send})
		}
		w.must(w.backend.AppendBatch(items, true, w.feed))
		for i, o := range outcomes {
			item := items[i]
			w.wants(o.code, item.Err)
			if item.Held || item.Duplicate != o.duplicate || (o.code == "" && (item.Event.Seq != o.seq || item.Event.TargetSeq != o.send.ReplyTo)) {
				t.Errorf("item %d: %+v, want %+v", i, item, o)
			}
		}
		// The same again: everything that was stored is a repeat.
		for _, item := range items {
			item.Err, item.Duplicate = nil, false
		}
		w.must(w.backend.AppendBatch(items, true, func(events []store.Event) { t.Errorf("stored again: %+v", events) }))
		for i, o := range outcomes {
			w.wants(o.code, items[i].Err)
			if o.code == "" && (!items[i].Duplicate || items[i].Event.Seq != o.seq) {
				t.Errorf("item %d again: %+v, want %+v", i, items[i], o)
			}
		}
	})

	t.Run("in the order of one sender", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		group := w.group(ann, "")
		for want := int64(2); want < 12; want++ {
			equal(w, "seq", w.say(ann, group, "x").Seq, want)
		}
	})

	t.Run("one bad send fails alone", func(t *testing.T) {
		w := s.world(t)
		ann, eve := w.user("ann"), w.user("eve")
		group := w.group(ann, "")
		together(16, func(i int) {
			actor, want := ann, store.Code("")
			if i%4 == 3 {
				actor, want = eve, store.CodeNotFound
			}
			_, _, err := w.store.Append(w.Context(), store.Send{Actor: actor, ConversationID: group, ClientID: store.NewID().String(), Text: "x"})
			w.wants(want, err)
		})
		last, err := w.store.LastSeq(w.Context(), group)
		w.must(err)
		equal(w, "last seq", last, 13)
	})

	t.Run("bad input", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		group, other := w.group(ann, ""), w.group(ann, "")
		w.say(ann, other, "elsewhere")
		good := store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: "x"}
		for _, bad := range []struct {
			field  string
			change func(s *store.Send)
		}{
			{"client_id", func(s *store.Send) { s.ClientID = "" }},
			{"client_id", func(s *store.Send) { s.ClientID = strings.Repeat("x", 65) }},
			{"client_id", func(s *store.Send) { s.ClientID = "é" }},
			{"client_id", func(s *store.Send) { s.ClientID = "a\n" }},
			{"text", func(s *store.Send) { s.Text = "" }},
			{"text", func(s *store.Send) { s.Text = strings.Repeat("x", store.MaxTextBytes+1) }},
			{"text", func(s *store.Send) { s.Text = "a\x00b" }},
			{"text", func(s *store.Send) { s.Text = "a\xffb" }},
			{"text", func(s *store.Send) { s.Text = "\xed\xa0\x80" }}, // a lone surrogate
			{"reply_to", func(s *store.Send) { s.ReplyTo = -1 }},
			{"reply_to", func(s *store.Send) { s.ReplyTo = 1 }}, // not a message
			{"reply_to", func(s *store.Send) { s.ReplyTo = 2 }}, // not there yet
		} {
			send := good
			bad.change(&send)
			_, _, err := w.store.Append(w.Context(), send)
			w.wantsField(store.CodeInvalid, bad.field, err)
			if t.Failed() {
				t.Fatalf("%+v", send)
			}
		}
		last, err := w.store.LastSeq(w.Context(), group)
		w.must(err)
		equal(w, "last seq", last, 1)
		good.Text = strings.Repeat("é", store.MaxTextBytes/2)
		good.ClientID = strings.Repeat("x", 64)
		_, _, err = w.store.Append(w.Context(), good)
		w.must(err)
	})

	// A removal takes effect at its seq: what is accepted above it is not the
	// removed member's, whatever was on its way (promise 4).
	t.Run("removed while sending", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		for range 8 {
			var removal atomic.Int64
			together(9, func(i int) {
				if i == 0 {
					var events []store.Event
					err := patiently(func() (err error) {
						events, err = w.store.RemoveMember(w.Context(), ann, group, bob.UserID)
						return err
					})
					if err != nil {
						t.Error(err)
						return
					}
					removal.Store(events[0].Seq)
					return
				}
				err := patiently(func() error {
					_, _, err := w.store.Append(w.Context(), store.Send{Actor: bob, ConversationID: group, ClientID: store.NewID().String(), Text: "x"})
					return err
				})
				if err != nil {
					w.wants(store.CodeNotFound, err)
				}
			})
			above := w.number(`SELECT COUNT(*) FROM events WHERE conversation_id = ? AND sender_id = ? AND seq > ?`, group, bob.UserID, removal.Load())
			equal(w, "messages above the removal", above, 0)
			w.add(ann, group, "bob")
		}
	})
}
