package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdline/store"
)

// said is what an event's Extra can hold.
type said struct {
	Kind    string     `json:"kind"`
	Title   string     `json:"title"`
	Role    string     `json:"role"`
	Members []store.ID `json:"members"`
}

func extra(t *testing.T, e store.Event) said {
	t.Helper()
	var s said
	if err := json.Unmarshal([]byte("{"+e.Extra+"}"), &s); err != nil {
		t.Fatalf("extra %q: %v", e.Extra, err)
	}
	return s
}

func (s *suite) create(t *testing.T) {
	t.Run("the log begins with created", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo := w.user("ann"), w.user("bob"), w.user("cleo")
		title := `"quoted" \ 🦉`
		c, created, err := w.store.CreateConversation(w.Context(), store.NewConversation{
			Actor: ann, Kind: store.KindGroup, Title: title, Members: []string{"cleo", "bob", "ann", "bob"},
		})
		w.must(err)
		equal(w, "created", created, true)
		equal(w, "history", c.History, store.HistoryJoined)
		equal(w, "role", c.Role, store.MemberRoleOwner)
		equal(w, "last seq", c.LastSeq, 1)
		events, more, err := w.store.Events(w.Context(), c.ID, 1, 10, 10)
		w.must(err)
		if len(events) != 1 || more || events[0].Type != store.EventCreated || events[0].Seq != 1 || events[0].SenderID != ann.UserID {
			t.Fatalf("log %+v", events)
		}
		x := extra(t, events[0])
		equal(w, "kind", x.Kind, store.KindGroup)
		equal(w, "title", x.Title, title)
		equal(w, "creator first", x.Members[0], ann.UserID)
		slices.Sort(x.Members)
		want := []store.ID{ann.UserID, bob.UserID, cleo.UserID}
		slices.Sort(want)
		equalSlices(w, "members", x.Members, want)
		read, err := w.store.Conversation(w.Context(), ann.UserID, c.ID)
		w.must(err)
		equal(w, "conversation", read, c)
	})

	t.Run("a group of one", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		c, created, err := w.store.CreateConversation(w.Context(), store.NewConversation{Actor: ann, Kind: store.KindGroup})
		w.must(err)
		equal(w, "created", created, true)
		w.say(ann, c.ID, "notes to myself")
	})

	t.Run("repeated with its client_id", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		w.user("cleo")
		request := store.NewConversation{Actor: ann, Kind: store.KindGroup, Title: "t", Members: []string{"bob", "cleo"}, ClientID: "g-1"}
		first, created, err := w.store.CreateConversation(w.Context(), request)
		w.must(err)
		equal(w, "created", created, true)
		w.must(w.store.DisableUser(w.Context(), bob.UserID)) // a repeat is a repeat, whatever became of its members
		repeat := request
		repeat.Members = []string{"cleo", "ann", "bob", "bob"}
		again, created, err := w.store.CreateConversation(w.Context(), repeat)
		w.must(err)
		equal(w, "created again", created, false)
		equal(w, "conversation", again, first)

		for _, change := range []func(n *store.NewConversation){
			func(n *store.NewConversation) { n.Title = "other" },
			func(n *store.NewConversation) { n.Members = []string{"cleo"} },
			func(n *store.NewConversation) { n.History = store.HistoryAll },
		} {
			other := request
			change(&other)
			_, _, err = w.store.CreateConversation(w.Context(), other)
			w.wantsField(store.CodeClientIDReused, "client_id", err)
		}
		cleo, _, err := w.store.SessionBySecret(w.Context(), w.id("cleo"), hash("cleo"))
		w.must(err)
		_, created, err = w.store.CreateConversation(w.Context(), store.NewConversation{
			Actor: store.Actor{UserID: cleo.UserID, SessionID: cleo.ID}, Kind: store.KindGroup, Title: "hers", ClientID: "g-1",
		})
		w.must(err)
		equal(w, "another creator's client_id", created, true)

		w.remove(ann, first.ID, ann.UserID)
		_, _, err = w.store.CreateConversation(w.Context(), request)
		w.wants(store.CodeConflict, err)
		equal(w, "groups", w.number(`SELECT COUNT(*) FROM conversations`), 2)
	})

	t.Run("repeated at once", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		w.user("bob")
		made, conversations := w.createAtOnce(8, func(int) store.NewConversation {
			return store.NewConversation{Actor: ann, Kind: store.KindGroup, Title: "t", Members: []string{"bob"}, ClientID: "g-1"}
		})
		equal(w, "created", made, 1)
		equal(w, "conversations", conversations, 1)
		equal(w, "events", w.number(`SELECT COUNT(*) FROM events`), 1)
	})

	t.Run("bad input", func(t *testing.T) {
		w := s.world(t)
		ann, dora := w.user("ann"), w.user("dora")
		w.user("bob")
		w.must(w.store.DisableUser(w.Context(), dora.UserID))
		for _, bad := range []struct {
			n     store.NewConversation
			code  store.Code
			field string
		}{
			{store.NewConversation{Kind: "broadcast"}, store.CodeInvalid, "kind"},
			{store.NewConversation{Kind: ""}, store.CodeInvalid, "kind"},
			{store.NewConversation{Kind: store.KindGroup, Title: strings.Repeat("é", 201)}, store.CodeInvalid, "title"},
			{store.NewConversation{Kind: store.KindGroup, Title: "a\x00b"}, store.CodeInvalid, "title"},
			{store.NewConversation{Kind: store.KindGroup, Title: "\xff"}, store.CodeInvalid, "title"},
			{store.NewConversation{Kind: store.KindDirect, Title: "x", Members: []string{"bob"}}, store.CodeInvalid, "title"},
			{store.NewConversation{Kind: store.KindGroup, History: "some"}, store.CodeInvalid, "history"},
			{store.NewConversation{Kind: store.KindGroup, ClientID: strings.Repeat("x", 65)}, store.CodeInvalid, "client_id"},
			{store.NewConversation{Kind: store.KindGroup, ClientID: "a\x00"}, store.CodeInvalid, "client_id"},
			{store.NewConversation{Kind: store.KindGroup, Members: make([]string, 1001)}, store.CodeInvalid, "members"},
			{store.NewConversation{Kind: store.KindGroup, Members: []string{"bob", "nobody"}}, store.CodeUnknownMember, "members"},
			{store.NewConversation{Kind: store.KindGroup, Members: []string{"a\x00b"}}, store.CodeUnknownMember, "members"},
			{store.NewConversation{Kind: store.KindGroup, Members: []string{"\xff"}}, store.CodeUnknownMember, "members"},
			{store.NewConversation{Kind: store.KindGroup, Members: []string{"BOB"}}, store.CodeUnknownMember, "members"},
			{store.NewConversation{Kind: store.KindGroup, Members: []string{"bob", "dora"}}, store.CodeUnknownMember, "members"},
			{store.NewConversation{Kind: store.KindDirect, Members: []string{"dora"}}, store.CodeUnknownMember, "members"},
			{store.NewConversation{Kind: store.KindDirect, Members: []string{"nobody"}}, store.CodeUnknownMember, "members"},
			{store.NewConversation{Kind: store.KindDirect, Members: []string{"ann"}}, store.CodeInvalid, "members"},
			{store.NewConversation{Kind: store.KindDirect}, store.CodeInvalid, "members"},
			{store.NewConversation{Kind: store.KindDirect, Members: []string{"bob", "dora"}}, store.CodeInvalid, "members"},
		} {
			bad.n.Actor = ann
			_, _, err := w.store.CreateConversation(w.Context(), bad.n)
			w.wantsField(bad.code, bad.field, err)
			if t.Failed() {
				t.Fatalf("%+v", bad.n)
			}
		}
		_, _, err := w.store.CreateConversation(w.Context(), store.NewConversation{Actor: ann, Kind: store.KindGroup, Members: []string{"nobody", "bob"}})
		if err == nil || !strings.Contains(err.Error(), `"nobody"`) || strings.Contains(err.Error(), `"bob"`) {
			t.Errorf("the error must name who is unknown: %v", err)
		}
		equal(w, "conversations", w.number(`SELECT COUNT(*) FROM conversations`), 0)
		equal(w, "creations", w.number(`SELECT COUNT(*) FROM creations`), 0)
		equal(w, "pairs", w.number(`SELECT COUNT(*) FROM direct_pairs`), 0)
	})

	t.Run("as many members as may be named", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		handles := w.crowd(store.MaxMembersAtOnce)
		group := w.group(ann, "", handles...)
		equal(w, "members", w.number(`SELECT COUNT(*) FROM memberships WHERE conversation_id = ? AND to_seq = 0`, group), 1001)
		total, after := 0, store.ID(0)
		for {
			page, err := w.store.Members(w.Context(), ann.UserID, group, after, 300)
			w.must(err)
			if len(page) == 0 {
				break
			}
			for _, m := range page {
				if m.ID <= after || m.FromSeq != 1 || m.Handle == "" {
					t.Fatalf("member %+v after %v", m, after)
				}
				after = m.ID
			}
			total += len(page)
		}
		equal(w, "listed", total, 1001)
	})
}

// id is the user with that handle.
func (w *world) id(handle string) store.ID {
	w.Helper()
	u, err := w.store.UserByHandle(w.Context(), handle)
	w.must(err)
	return u.ID
}

// crowd makes accounts by raw SQL, without the cost of as many transactions.
func (w *world) crowd(n int) []string {
	w.Helper()
	handles := make([]string, n)
	var users, names strings.Builder
	for i := range n {
		handles[i] = fmt.Sprintf("crowd-%d", i)
		id := store.NewID()
		if i > 0 {
			users.WriteString(", ")
			names.WriteString(", ")
		}
		fmt.Fprintf(&users, "(%d, '%s', '', 'user', 1)", id, handles[i])
		fmt.Fprintf(&names, "('%s', %d)", handles[i], id)
	}
	w.exec(`INSERT INTO users (user_id, handle, display_name, role, created_at) VALUES ` + users.String())
	w.exec(`INSERT INTO handles (handle, user_id) VALUES ` + names.String())
	return handles
}
