package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"holdline/store"
)

func TestAccounts(t *testing.T) {
	w := newWorld(t, nil)
	var in SignedIn
	w.must(201, request{method: "POST", path: "/v1/users", body: NewUser{Handle: "ann", Password: password, DisplayName: "Ann é 😀"}}, &in)
	if in.User.Handle != "ann" || in.User.DisplayName != "Ann é 😀" || time.Since(in.User.CreatedAt) > time.Minute {
		t.Errorf("signed up as %+v", in.User)
	}
	bob := w.signUp("bob")
	if bob.User.DisplayName != "bob" {
		t.Errorf("without a name one is called %q", bob.User.DisplayName)
	}
	var device SignedIn
	w.must(201, request{method: "POST", path: "/v1/sessions", body: NewSession{Handle: "ann", Password: password, DeviceName: "kitchen tablet"}}, &device)
	var me Me
	w.must(200, request{method: "GET", path: "/v1/me", token: device.Token}, &me)
	if me.User.Id != in.User.Id || me.Role != store.RoleUser || me.Session.DeviceName != "kitchen tablet" || !me.Session.Current {
		t.Errorf("me: %+v", me)
	}
	var found UserList
	w.must(200, request{method: "GET", path: "/v1/users?handle=bob", token: in.Token}, &found)
	if len(found.Users) != 1 || found.Users[0] != bob.User {
		t.Errorf("found %+v", found)
	}
	a := w.must(200, request{method: "GET", path: "/v1/users?handle=nobody&t=1&t=2", token: in.Token}, &found)
	if string(a.body) != `{"users":[]}` {
		t.Errorf("found nobody: %s", a.body)
	}
	var user User
	w.must(200, request{method: "GET", path: "/v1/users/" + bob.User.Id, token: in.Token}, &user)
	if user != bob.User {
		t.Errorf("%+v", user)
	}
	a = w.must(200, request{method: "GET", path: "/v1/users/" + bob.User.Id, token: in.Token}, nil)
	if !strings.Contains(string(a.body), bob.User.CreatedAt.UTC().Format(`"2006-01-02T15:04:05.000Z"`)) {
		t.Errorf("times have milliseconds: %s", a.body)
	}
}

func TestDisabledAccountsCannotSignIn(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	must(t, w.store.DisableUser(t.Context(), mustID(t, ann.User.Id)))
	p := w.refused(request{method: "POST", path: "/v1/sessions", body: NewSession{Handle: "ann", Password: password}}, 401, "unauthorized", "")
	if p.Detail != errWrongPassword.Message {
		t.Errorf("a disabled account is told apart: %s", p.Detail)
	}
}

func TestConversations(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	create := func(body any) request {
		return request{method: "POST", path: "/v1/conversations", token: ann.Token, body: body}
	}
	var direct, again, group, groupAgain Conversation
	w.must(201, create(`{"kind":"direct","members":["bob"]}`), &direct)
	w.must(200, create(`{"kind":"direct","members":["bob","ann"]}`), &again)
	w.must(201, create(`{"kind":"group","members":["bob"],"title":"Allotment","client_id":"g-1","history":"all"}`), &group)
	w.must(200, create(`{"kind":"group","members":["bob"],"title":"Allotment","client_id":"g-1","history":"all"}`), &groupAgain)
	w.refused(create(`{"kind":"group","members":["bob"],"title":"Other","client_id":"g-1"}`), 409, "client_id_reused", "client_id")
	if again.Id != direct.Id || groupAgain.Id != group.Id {
		t.Errorf("created twice: %+v %+v %+v %+v", direct, again, group, groupAgain)
	}
	if group.Title != "Allotment" || group.Role != "owner" || group.History != "all" || group.FirstSeq != 1 || group.LastSeq != 1 || group.CreatorId != ann.User.Id {
		t.Errorf("%+v", group)
	}
	one := "/v1/conversations/" + group.Id
	w.must(200, request{method: "PATCH", path: one, token: ann.Token, body: `{"title":"Allotment 2027"}`}, &group)
	w.must(200, request{method: "PATCH", path: one, token: ann.Token, body: `{"title":"Allotment 2027"}`}, &groupAgain)
	if group.Title != "Allotment 2027" || group.LastSeq != 2 || groupAgain.LastSeq != 2 {
		t.Errorf("renamed: %+v, again: %+v", group, groupAgain)
	}
	w.refused(request{method: "PATCH", path: "/v1/conversations/" + direct.Id, token: ann.Token, body: `{"title":"x"}`}, 409, "conflict", "*")

	w.send(bob, group.Id, "b-1", "hello")
	var view struct {
		Conversation
		LastMessage Event `json:"last_message"`
	}
	a := w.must(200, request{method: "GET", path: one, token: ann.Token}, &view)
	if view.Unread != 1 || view.LastMessage.Text != "hello" || strings.Contains(string(a.body), "b-1") {
		t.Errorf("another's client_id is not shown: %s", a.body)
	}
	a = w.must(200, request{method: "GET", path: one, token: bob.Token}, &view)
	if view.Unread != 0 || !strings.Contains(string(a.body), `"client_id":"b-1"`) {
		t.Errorf("one's own client_id is shown: %s", a.body)
	}
}

func TestListsAreReadByPage(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	var made, seen []string
	for range 7 {
		made = append(made, w.group(ann).Id)
	}
	query := "?limit=3"
	for pages := 1; ; pages++ {
		var page ConversationList
		w.must(200, request{method: "GET", path: "/v1/conversations" + query, token: ann.Token}, &page)
		for _, c := range page.Conversations {
			seen = append(seen, c.Id)
		}
		if !page.More {
			if pages != 3 || page.Next != "" {
				t.Errorf("%d pages, next %q", pages, page.Next)
			}
			break
		}
		query = "?limit=3&after=" + page.Next
	}
	slices.Sort(made)
	if !slices.Equal(made, seen) {
		t.Errorf("listed %v of %v", seen, made)
	}
	var none ConversationList
	w.must(200, request{method: "GET", path: "/v1/conversations?after=zzzzzzzzzzz", token: ann.Token}, &none)
	if len(none.Conversations) != 0 || none.More {
		t.Errorf("after everything: %+v", none)
	}

	handles := []string{"ann"}
	for i := range 4 {
		handles = append(handles, fmt.Sprint("user", i))
		w.signUp(handles[i+1])
	}
	group := w.group(ann, handles[1:]...)
	var names []string
	for query = "?limit=2"; ; {
		var page MemberList
		w.must(200, request{method: "GET", path: "/v1/conversations/" + group.Id + "/members" + query, token: ann.Token}, &page)
		for _, m := range page.Members {
			names = append(names, m.User.Handle)
			if want := map[bool]string{true: "owner", false: "member"}[m.User.Handle == "ann"]; m.Role != want || m.FromSeq != 1 {
				t.Errorf("%+v", m)
			}
		}
		if !page.More {
			break
		}
		query = "?limit=2&after=" + page.Next
	}
	slices.Sort(names)
	if !slices.Equal(names, handles) {
		t.Errorf("members %v, want %v", names, handles)
	}
}

// A page of long last messages ends early, and the next goes on from there.
func TestListsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	const n = 80 // of 16 KiB each
	for range n {
		w.send(ann, w.group(ann).Id, "m", strings.Repeat("x", store.MaxTextBytes))
	}
	var first, rest ConversationList
	a := w.must(200, request{method: "GET", path: "/v1/conversations?limit=1000", token: ann.Token}, &first)
	if len(a.body) > store.MaxPageBytes*5/4 || !first.More {
		t.Fatalf("%d bytes, more %v", len(a.body), first.More)
	}
	w.must(200, request{method: "GET", path: "/v1/conversations?limit=1000&after=" + first.Next, token: ann.Token}, &rest)
	if len(first.Conversations)+len(rest.Conversations) != n || rest.More {
		t.Errorf("%d and %d of %d", len(first.Conversations), len(rest.Conversations), n)
	}
}

func TestMembersComeAndGo(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	group := w.group(ann)
	members := "/v1/conversations/" + group.Id + "/members"
	var events EventList
	w.must(201, request{method: "POST", path: members, token: ann.Token, body: url.Values{"members": {"bob"}}}, &events)
	if len(events.Events) != 1 || events.Events[0].UserId != bob.User.Id || events.Events[0].Action != "added" || events.Events[0].Seq != 2 {
		t.Errorf("added: %+v", events)
	}
	a := w.must(200, request{method: "POST", path: members, token: ann.Token, body: url.Values{"members": {"bob"}}}, nil)
	if string(a.body) != `{"events":[]}` {
		t.Errorf("added again: %s", a.body)
	}
	w.must(200, request{method: "DELETE", path: members + "/me", token: bob.Token}, &events)
	if len(events.Events) != 1 || events.Events[0].Action != "left" {
		t.Errorf("left: %+v", events)
	}
	w.refused(request{method: "GET", path: members, token: bob.Token}, 404, "not_found", "")
	w.must(201, request{method: "POST", path: members, token: ann.Token, body: NewMembers{Members: []string{"bob"}}}, nil)
	w.must(200, request{method: "DELETE", path: members + "/" + bob.User.Id, token: ann.Token}, &events)
	if events.Events[0].Action != "removed" {
		t.Errorf("removed: %+v", events)
	}
	var direct Conversation
	w.must(201, request{method: "POST", path: "/v1/conversations", token: ann.Token, body: `{"kind":"direct","members":["bob"]}`}, &direct)
	w.refused(request{method: "DELETE", path: "/v1/conversations/" + direct.Id + "/members/me", token: bob.Token}, 409, "conflict", "*")
}

func TestASendIsAnsweredOnceAndForAll(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	group := w.group(ann)
	messages := "/v1/conversations/" + group.Id + "/messages"
	text := " a\r\n\t\u2028\u007f\"\\/<é😀 "
	send := request{method: "POST", path: messages, token: ann.Token, body: NewMessage{ClientId: "m ~1", Text: text}}
	var e Event
	first := w.must(201, send, &e)
	again := w.must(200, send, nil)
	if string(first.body) != string(again.body) || e.Seq != 2 || e.Text != text || e.ClientId != "m ~1" || e.SenderId != ann.User.Id || e.Type != "message" {
		t.Errorf("%s\nand again\n%s", first.body, again.body)
	}
	var reply Event
	w.must(201, request{method: "POST", path: messages, token: ann.Token, body: NewMessage{ClientId: "m-2", Text: strings.Repeat("é", store.MaxTextBytes/2), ReplyTo: 2}}, &reply)
	if reply.ReplyTo != 2 || reply.Seq != 3 {
		t.Errorf("%+v", reply)
	}
	// All of a text may be written as \u escapes, which is the longest form.
	escaped := `{"client_id":"m-3","text":"` + strings.Repeat(`\u0041`, store.MaxTextBytes) + `"}`
	w.must(201, request{method: "POST", path: messages, token: ann.Token, body: escaped}, nil)
}

func TestTheStateView(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	group := w.group(ann, "bob")
	for i := range 5 { // seq 2 to 6
		w.send(ann, group.Id, fmt.Sprint("m-", i), fmt.Sprint("text ", i))
	}
	w.must(200, request{method: "PATCH", path: "/v1/conversations/" + group.Id, token: ann.Token, body: `{"title":"x"}`}, nil) // seq 7
	messages := "/v1/conversations/" + group.Id + "/messages"
	for query, want := range map[string]struct {
		seqs []int64
		more bool
	}{
		"":                  {[]int64{2, 3, 4, 5, 6}, false},
		"?limit=2":          {[]int64{5, 6}, true},
		"?limit=2&before=5": {[]int64{3, 4}, true},
		"?limit=2&before=3": {[]int64{2}, false},
		"?limit=2&after=3":  {[]int64{4, 5}, true},
		"?limit=2&after=4":  {[]int64{5, 6}, false},
		"?after=6":          {[]int64{}, false},
	} {
		var page MessagePage
		a := w.must(200, request{method: "GET", path: messages + query, token: bob.Token}, &page)
		seqs := []int64{}
		for _, m := range page.Messages {
			seqs = append(seqs, m.Seq)
		}
		if !slices.Equal(seqs, want.seqs) || page.More != want.more || page.LastSeq != 7 || page.Cursor != "7-"+w.store.Epoch() {
			t.Errorf("%q: %s", query, a.body)
		}
		if strings.Contains(string(a.body), "client_id") {
			t.Errorf("another's client_id is shown: %s", a.body)
		}
	}
	var m Message
	w.must(200, request{method: "GET", path: messages + "/3", token: ann.Token}, &m)
	if m.Text != "text 1" || m.ClientId != "m-1" || m.StateSeq < 3 {
		t.Errorf("%+v", m)
	}
}

func TestReceiptsTellThreeThingsApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	w.signUp("cleo")
	group := w.group(ann, "bob", "cleo")
	sent := w.send(ann, group.Id, "m-1", "hello")
	receipts := request{method: "GET", path: "/v1/conversations/" + group.Id + "/messages/2/receipts", token: ann.Token}
	read := func() (r Receipts, bobs Receipt) {
		w.must(200, receipts, &r)
		for _, m := range r.Members {
			if m.UserId == bob.User.Id {
				bobs = m
			}
		}
		return r, bobs
	}
	r, bobs := read()
	if !r.AcceptedAt.Equal(sent.AcceptedAt) || r.MemberCount != 2 || len(r.Members) != 2 || r.DeliveredCount != 0 || !bobs.DeliveredAt.IsZero() {
		t.Errorf("accepted only: %+v", r)
	}
	ack := func(body any) {
		w.must(204, request{method: "POST", path: "/v1/acks", token: bob.Token, body: body}, nil)
	}
	ack(url.Values{"delivered[" + group.Id + "]": {"2"}})
	if r, bobs = read(); r.DeliveredCount != 1 || r.ReadCount != 0 || bobs.DeliveredAt.IsZero() || !bobs.ReadAt.IsZero() {
		t.Errorf("delivered: %+v", r)
	}
	ack(Acks{Read: Watermarks{group.Id: 2, "00000000001": 5}})
	if r, bobs = read(); r.ReadCount != 1 || bobs.ReadAt.IsZero() || bobs.ReadAt.Before(bobs.DeliveredAt) {
		t.Errorf("read: %+v", r)
	}
	ack(`{}`)

	alone := w.group(ann)
	w.send(ann, alone.Id, "m-1", "hello")
	a := w.must(200, request{method: "GET", path: "/v1/conversations/" + alone.Id + "/messages/2/receipts", token: ann.Token}, nil)
	if !strings.Contains(string(a.body), `"members":[]`) {
		t.Errorf("nobody else: %s", a.body)
	}
}

func TestSessionsComeInPages(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	for range 4 {
		w.signIn("ann")
	}
	seen := map[string]bool{}
	current, pages := 0, 0
	for path := "/v1/sessions?limit=2"; path != ""; pages++ {
		var list SessionList
		w.must(200, request{method: "GET", path: path, token: ann.Token}, &list)
		if len(list.Sessions) > 2 || list.More != (list.Next != "") {
			t.Fatalf("%+v", list)
		}
		for _, s := range list.Sessions {
			seen[s.Id] = true
			if s.Current {
				current++
			}
		}
		path = ""
		if list.More {
			path = "/v1/sessions?limit=2&after=" + list.Next
		}
	}
	if len(seen) != 5 || pages != 3 || current != 1 {
		t.Errorf("%d sessions in %d pages, %d current", len(seen), pages, current)
	}
	w.refused(request{method: "GET", path: "/v1/sessions?limit=1001", token: ann.Token}, 400, "invalid", "limit")
	var list SessionList
	w.must(200, request{method: "GET", path: "/v1/sessions?after=00000000001", token: ann.Token}, &list)
	if len(list.Sessions) != 0 || list.More {
		t.Errorf("behind a session that never was: %+v", list)
	}
}
