package api

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// envelope is an answer as a client sees it that sees bodies only.
type envelope struct {
	Status     int            `json:"status"`
	Body       jsontext.Value `json:"body"`
	Cursor     string         `json:"cursor"`
	RetryAfter int            `json:"retry_after"`
}

// enveloped makes a call with envelope=1; its transport holds what is inside against the contract.
func (w *world) enveloped(r request) (e envelope) {
	w.t.Helper()
	sep := "?"
	if strings.Contains(r.path, "?") {
		sep = "&"
	}
	r.path += sep + "envelope=1"
	a := w.must(200, r, &e)
	if kind := a.header.Get("Content-Type"); kind != "application/json" {
		w.t.Errorf("an envelope of type %q", kind)
	}
	return e
}

func TestEnvelopeHoldsEveryAnswer(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann).Id
	events := "/v1/conversations/" + c + "/events"
	ticket := w.ticket(ann)
	for name, test := range map[string]struct {
		request
		status int
		within string
	}{
		"200":                  {request{method: "GET", path: "/v1/me", token: ann.Token}, 200, `"role":"user"`},
		"201":                  {request{method: "POST", path: "/v1/conversations/" + c + "/messages", token: ann.Token, body: `{"client_id":"1","text":"x"}`}, 201, `"seq":2`},
		"204":                  {request{method: "POST", path: "/v1/acks", token: ann.Token, body: `{"read":{"` + c + `":1}}`}, 204, `null`},
		"no typed body":        {request{method: "POST", path: "/v1/sessions", kind: "-", body: `{"handle":"ann","password":"correct horse"}`}, 201, `"token":"hl_`},
		"ticket":               {request{method: "GET", path: events + "?ticket=" + url.QueryEscape(ticket)}, 200, `"events":[{`},
		"token in the body":    {request{method: "POST", path: "/v1/tickets", kind: "text/plain", body: `{"access_token":"` + ann.Token + `"}`}, 201, `"ticket":"`},
		"text":                 {request{method: "GET", path: events + "?limit=1", token: ann.Token, header: map[string]string{"Accept": "text/plain"}}, 200, `\tcreated\t`},
		"poll":                 {request{method: "GET", path: events + "?after=9999999&wait=1", token: ann.Token}, 410, `"code":"cursor_reset"`},
		"400":                  {request{method: "GET", path: events + "?limit=0", token: ann.Token}, 400, `"field":"limit"`},
		"400, unreadable":      {request{method: "GET", path: events + "?x=%zz", token: ann.Token}, 400, `"code":"invalid"`},
		"401":                  {request{method: "GET", path: "/v1/me"}, 401, `"code":"unauthorized"`},
		"401, bad ticket":      {request{method: "GET", path: events + "?ticket=x"}, 401, `"code":"unauthorized"`},
		"404, no such thing":   {request{method: "GET", path: "/v1/conversations/00000000001", token: ann.Token}, 404, `"code":"not_found"`},
		"404, no such address": {request{method: "GET", path: "/v1/nothing", token: ann.Token}, 404, `"code":"not_found"`},
		"405":                  {request{method: "PUT", path: "/v1/me", token: ann.Token}, 405, `"code":"method_not_allowed"`},
		"409":                  {request{method: "POST", path: "/v1/users", body: `{"handle":"ann","password":"correct horse"}`}, 409, `"code":"handle_taken"`},
		"413":                  {request{method: "POST", path: "/v1/sessions", body: strings.Repeat(" ", DefaultBodyLimit+1)}, 413, `"code":"body_too_large"`},
		"415":                  {request{method: "POST", path: "/v1/sessions", kind: "text/html", body: "x"}, 415, `"code":"unsupported_media_type"`},
		"stream":               {request{method: "GET", path: "/v1/inbox/stream", token: ann.Token}, 400, `"field":"envelope"`},
		"document":             {request{method: "GET", path: "/docs"}, 400, `"field":"envelope"`},
		"health":               {request{method: "GET", path: "/healthz"}, 200, `{"status":"ok"}`},
	} {
		t.Run(name, func(t *testing.T) {
			at := *w
			at.t = t
			if e := at.enveloped(test.request); e.Status != test.status || !strings.Contains(string(e.Body), test.within) {
				t.Errorf("%+v", e)
			}
		})
	}
	if e := w.enveloped(request{method: "GET", path: events, token: ann.Token, header: map[string]string{"Accept": "text/plain"}}); e.Cursor != "2-"+w.store.Epoch() {
		t.Errorf("the cursor of lines: %+v", e)
	}
	if a := w.must(204, request{method: "OPTIONS", path: "/v1/me?envelope=1"}, nil); len(a.body) != 0 {
		t.Errorf("a preflight: %s", a.body)
	}
	for range addressFailures {
		if e := w.enveloped(request{method: "POST", path: "/v1/sessions", body: `{"handle":"ann","password":"wrong one"}`}); e.Status == 429 {
			if e.RetryAfter < 1 {
				t.Errorf("%+v", e)
			}
			return
		}
	}
	t.Error("never 429")
}

// A poll that was let go of its handler answers in an envelope all the same.
func TestEnvelopeOfAPollThatWaited(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann).Id
	got := make(chan envelope)
	go func() {
		got <- w.enveloped(request{method: "GET", path: "/v1/conversations/" + c + "/events?after=1&wait=20", token: ann.Token})
	}()
	w.waiting(1)
	w.send(ann, c, "1", "hello")
	var page EventPage
	e := <-got
	must(t, json.Unmarshal(e.Body, &page))
	if e.Status != 200 || len(page.Events) != 1 || page.Events[0].Text != "hello" {
		t.Errorf("%+v", e)
	}
}

func TestThePlainStatusIsLogged(t *testing.T) {
	w := newWorld(t, nil)
	w.enveloped(request{method: "GET", path: "/v1/me"})
	eventually(t, "it is logged", func() bool { return strings.Contains(w.logs.String(), "status=401") })
}

func TestPostForAnotherMethod(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	c := w.group(ann, "bob")
	var renamed Conversation
	w.must(200, request{method: "POST", path: "/v1/conversations/" + c.Id + "?method=PATCH", kind: "text/plain", body: fmt.Sprintf(`{"title":"new","access_token":%q}`, ann.Token)}, &renamed)
	if renamed.Title != "new" {
		t.Errorf("%+v", renamed)
	}
	member := "/v1/conversations/" + c.Id + "/members/"
	w.must(200, request{method: "POST", path: member + bob.User.Id + "?method=DELETE&t=1", token: ann.Token}, nil)
	// Without a header, and without a body of its own: in JSON, untyped, and as a form.
	w.must(204, request{method: "POST", path: "/v1/sessions/current?method=DELETE", kind: "-", body: `{"access_token":"` + bob.Token + `"}`}, nil)
	w.refused(request{method: "GET", path: "/v1/me", token: bob.Token}, 401, "unauthorized", "")
	if e := w.enveloped(request{method: "POST", path: "/v1/sessions/current?method=DELETE", body: url.Values{"access_token": {ann.Token}}}); e.Status != 204 {
		t.Errorf("%+v", e)
	}
	w.refused(request{method: "GET", path: "/v1/me", token: ann.Token}, 401, "unauthorized", "")
}

// What is asked of a connection after an enveloped poll goes on as usual.
func TestEnvelopeLeavesTheConnectionUsable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.signUp("ann")
	c := w.group(ann).Id
	for range 2 {
		began := time.Now()
		e := w.enveloped(request{method: "GET", path: "/v1/conversations/" + c + "/events?after=1&wait=1", token: ann.Token})
		if e.Status != 200 || time.Since(began) > 10*time.Second {
			t.Errorf("%+v", e)
		}
	}
	resp, err := http.Get(w.url + "/healthz?envelope=1")
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	if string(body) != `{"status":200,"body":{"status":"ok"}}` {
		t.Errorf("%s", body)
	}
}
