package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"holdline/store"
)

func TestATokenMayComeInTheHeaderOrTheBody(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	w.signUp("bob")
	direct := map[string]any{"kind": "direct", "members": []string{"bob"}, "access_token": ann.Token}
	var first, again Conversation
	w.must(201, request{method: "POST", path: "/v1/conversations", body: direct}, &first)
	w.must(200, request{method: "POST", path: "/v1/conversations", kind: "text/plain; charset=UTF-8", body: `{"kind":"direct","members":["bob"],"access_token":"` + ann.Token + `"}`}, &again)
	if again.Id != first.Id {
		t.Errorf("two direct conversations: %s, %s", first.Id, again.Id)
	}
	messages := "/v1/conversations/" + first.Id + "/messages"
	w.must(201, request{method: "POST", path: messages, kind: "-", body: `{"client_id":"1","text":"no type","access_token":"` + ann.Token + `"}`}, nil)
	w.must(201, request{method: "POST", path: messages, body: url.Values{"client_id": {"2"}, "text": {"form"}, "access_token": {ann.Token}}}, nil)
	w.must(200, request{method: "GET", path: "/v1/me", header: map[string]string{"Authorization": "bearer " + ann.Token}}, nil)

	p := w.refused(request{method: "POST", path: messages, kind: "application/x-www-form-urlencoded", body: `{"client_id":"1","access_token":"` + ann.Token + `"}`}, 400, "invalid", "")
	if !strings.Contains(p.Detail, "Content-Type: application/json") {
		t.Errorf("JSON sent as a form gets no help: %s", p.Detail)
	}
	a := w.do(request{method: "GET", path: "/v1/me"})
	if got := a.header.Get("WWW-Authenticate"); got != `Bearer realm="holdline"` {
		t.Errorf("without a token: WWW-Authenticate %q", got)
	}
	a = w.do(request{method: "GET", path: "/v1/me", token: "x"})
	if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
		t.Errorf("with a bad token: WWW-Authenticate %q", got)
	}
}

func TestASessionEndsAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	other := w.signIn("ann")
	var ticket Ticket
	w.must(201, request{method: "POST", path: "/v1/tickets", token: other}, &ticket)
	var list SessionList
	w.must(200, request{method: "GET", path: "/v1/sessions", token: other}, &list)
	if len(list.Sessions) != 2 || list.Sessions[0].Current == list.Sessions[1].Current {
		t.Fatalf("two sessions, one of them current: %+v", list)
	}
	w.must(200, request{method: "GET", path: "/v1/me?ticket=" + ticket.Ticket}, nil)

	w.must(204, request{method: "DELETE", path: "/v1/sessions/current", token: other}, nil)
	w.refused(request{method: "GET", path: "/v1/me", token: other}, 401, "unauthorized", "")
	w.refused(request{method: "GET", path: "/v1/me?ticket=" + ticket.Ticket}, 401, "unauthorized", "")
	w.must(200, request{method: "GET", path: "/v1/me", token: ann.Token}, nil)

	third := w.signIn("ann")
	var me Me
	w.must(200, request{method: "GET", path: "/v1/me", token: third}, &me)
	w.must(204, request{method: "DELETE", path: "/v1/sessions/" + me.Session.Id, token: ann.Token}, nil)
	w.refused(request{method: "GET", path: "/v1/me", token: third}, 401, "unauthorized", "")
	w.refused(request{method: "DELETE", path: "/v1/sessions/" + me.Session.Id, token: ann.Token}, 404, "not_found", "")
}

// A session that another node ends is known here by the sweep, long before the
// cache would have forgotten it.
func TestASessionEndedElsewhereEndsHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	w.must(200, request{method: "GET", path: "/v1/me", token: ann.Token}, nil)
	if _, err := w.store.EndSessions(context.Background(), mustID(t, ann.User.Id)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(sessionCacheAge / 2)
	for w.do(request{method: "GET", path: "/v1/me", token: ann.Token}).status != 401 {
		if time.Now().After(deadline) {
			t.Fatal("still let in")
		}
	}
}

func TestATicketReadsAndNoMore(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann)
	w.send(ann, c.Id, "1", "hello")
	var ticket Ticket
	w.must(201, request{method: "POST", path: "/v1/tickets", body: map[string]any{"access_token": ann.Token}}, &ticket)
	if until := time.Until(ticket.ExpiresAt); until < DefaultTicketAge-5*time.Second || until > DefaultTicketAge {
		t.Errorf("a ticket lasts %v", until)
	}
	q := "?ticket=" + ticket.Ticket
	for _, path := range []string{"/v1/me", "/v1/sessions", "/v1/users/" + ann.User.Id, "/v1/conversations", "/v1/conversations/" + c.Id,
		"/v1/conversations/" + c.Id + "/members", "/v1/conversations/" + c.Id + "/messages", "/v1/conversations/" + c.Id + "/messages/2",
		"/v1/conversations/" + c.Id + "/messages/2/receipts"} {
		w.must(200, request{method: "GET", path: path + q}, nil)
	}
	w.must(204, request{method: "POST", path: "/v1/acks" + q, kind: "text/plain", body: `{"delivered":{"` + c.Id + `":2}}`}, nil)
	w.refused(request{method: "POST", path: "/v1/acks" + q, body: `{"read":{"` + c.Id + `":2}}`}, 403, "forbidden", "read")
	w.refused(request{method: "POST", path: "/v1/conversations/" + c.Id + "/messages" + q, body: `{"client_id":"2","text":"x"}`}, 401, "unauthorized", "")
	w.refused(request{method: "POST", path: "/v1/tickets" + q}, 401, "unauthorized", "")
	w.refused(request{method: "DELETE", path: "/v1/sessions/current" + q}, 401, "unauthorized", "")

	w.auth.now = func() time.Time { return time.Now().Add(DefaultTicketAge) }
	p := w.refused(request{method: "GET", path: "/v1/me" + q}, 401, "unauthorized", "")
	if !strings.Contains(p.Detail, "expired") {
		t.Errorf("an expired ticket is called %q", p.Detail)
	}
}

func TestTicketsCannotBeForged(t *testing.T) {
	now := time.Now()
	ts := tickets{key: []byte("0123456789abcdef0123456789abcdef"), age: time.Minute}
	user, session := store.NewID(), store.NewID()
	text, expires := ts.issue(user, session, now)
	got, ok := ts.parse(text)
	if !ok || got != (ticket{user, session, expires}) {
		t.Fatalf("%+v, %v", got, ok)
	}
	if _, ok := (tickets{key: []byte("another key, of another database"), age: time.Minute}).parse(text); ok {
		t.Error("a ticket of another database was taken")
	}
	for i := range text {
		for _, c := range []byte{'A', 'z', '_', '!'} {
			if forged := text[:i] + string(c) + text[i+1:]; forged != text {
				if _, ok := ts.parse(forged); ok {
					t.Fatalf("forged at %d: %s", i, forged)
				}
			}
		}
		if _, ok := ts.parse(text[:i]); ok {
			t.Fatalf("cut at %d", i)
		}
	}
}

// A look-up that a revocation overtakes must not bring the session back.
func TestACacheKeepsNothingARevocationOvertook(t *testing.T) {
	c := newSessionCache(8, time.Minute)
	now := time.Now()
	who := Identity{User: store.User{ID: 1}, Session: store.Session{ID: 2}}
	key := cacheKey{user: 1, session: 2}
	before := c.generation()
	c.drop(1, 2)
	c.put(key, who, now, before)
	if _, ok := c.get(key, now); ok {
		t.Error("kept what was dropped meanwhile")
	}
	c.put(key, who, now, c.generation())
	if _, ok := c.get(key, now); !ok {
		t.Error("not kept")
	}
	if _, ok := c.get(key, now.Add(time.Minute)); ok {
		t.Error("kept beyond its age")
	}
	for i := range store.ID(100) {
		c.put(cacheKey{user: i + 10}, who, now, c.generation())
	}
	if n := len(c.young) + len(c.old); n > 8 {
		t.Errorf("%d sessions in a cache of 8", n)
	}
	c.put(key, who, now, c.generation())
	c.drop(1, 0)
	if _, ok := c.get(key, now); ok {
		t.Error("all sessions of a user were dropped, but not this")
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AccessLog = true })
	ann := w.signUp("ann")
	var ticket Ticket
	w.must(201, request{method: "POST", path: "/v1/tickets", body: map[string]any{"access_token": ann.Token}}, &ticket)
	w.must(200, request{method: "GET", path: "/v1/conversations?limit=7&ticket=" + ticket.Ticket}, nil)
	w.must(200, request{method: "GET", path: "/v1/me", token: ann.Token}, nil)
	w.refused(request{method: "GET", path: "/v1/me?access_token=" + ann.Token}, 401, "unauthorized", "")
	logs := w.logs.String()
	for _, secret := range []string{ann.Token, ann.Token[15:], ticket.Ticket, password} {
		if strings.Contains(logs, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if !strings.Contains(logs, "limit=7") || !strings.Contains(logs, "status=401") {
		t.Errorf("the access log tells too little:\n%s", logs)
	}
}

func TestSignUpRules(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode     SignUp
		loopback bool
		header   map[string]string
		status   int
	}{
		"open":                   {SignUpOpen, false, map[string]string{"X-Forwarded-For": "1.2.3.4"}, http.StatusCreated},
		"closed":                 {SignUpClosed, true, nil, http.StatusForbidden},
		"auto on loopback":       {SignUpAuto, true, nil, http.StatusCreated},
		"auto behind a proxy":    {SignUpAuto, true, map[string]string{"X-Forwarded-For": "127.0.0.1"}, http.StatusForbidden},
		"auto behind a proxy, 2": {SignUpAuto, true, map[string]string{"Forwarded": "for=127.0.0.1"}, http.StatusForbidden},
		"auto elsewhere":         {SignUpAuto, false, nil, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.SignUp, c.Loopback = test.mode, test.loopback })
			var info ServerInfo
			w.must(200, request{method: "GET", path: "/v1/server", header: test.header}, &info)
			if open := test.status == http.StatusCreated; (info.SignUp == "open") != open {
				t.Errorf("the server calls sign-up %s", info.SignUp)
			}
			a := w.do(request{method: "POST", path: "/v1/users", header: test.header, body: NewUser{Handle: "ann", Password: password}})
			if a.status != test.status {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a.status == http.StatusForbidden && a.problem(t).Code != "signup_closed" {
				t.Errorf("%s", a.body)
			}
		})
	}
}
