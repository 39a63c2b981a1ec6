package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"holdline/store"
)

// page is somebody with a page of the server, whose session is a cookie.
type page struct {
	*world
	user   User
	name   string
	cookie string // the token
	form   string
}

// from is what a request of a page of the server says of itself, with the cookie.
func (p *page) from(header ...string) map[string]string {
	h := map[string]string{"Cookie": p.name + "=" + p.cookie}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return h
}

func (w *world) signUpPage(handle string, header map[string]string) *page {
	w.t.Helper()
	var in SignedIn
	if header == nil {
		header = map[string]string{"Origin": w.url}
	}
	a := w.must(201, request{method: "POST", path: "/v1/users", header: header, body: NewUser{Handle: handle, Password: password, Cookie: true}}, &in)
	return w.page(a, in)
}

// page reads the cookie of an answer.
func (w *world) page(a answer, in SignedIn) *page {
	w.t.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 || in.Token != "" || in.FormToken == "" {
		w.t.Fatalf("cookies %v, answer %s", cookies, a.body)
	}
	if strings.Contains(string(a.body), cookies[0].Value) {
		w.t.Errorf("the page's script is told the token: %s", a.body)
	}
	return &page{w, in.User, cookies[0].Name, cookies[0].Value, in.FormToken}
}

func TestACookieIsOutOfReach(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	w.signUp("ann")
	overTLS := strings.Replace(w.url, "http:", "https:", 1)
	for name, test := range map[string]struct {
		header map[string]string
		cookie string
		secure bool
	}{
		"plain":        {map[string]string{"Origin": w.url}, "holdline", false},
		"behind a TLS": {map[string]string{"Origin": overTLS, "X-Forwarded-Proto": "https"}, "__Host-holdline", true},
		"behind two":   {map[string]string{"Origin": overTLS, "X-Forwarded-Proto": "https, http", "X-Forwarded-For": "192.0.2.1, 127.0.0.2"}, "__Host-holdline", true},
	} {
		t.Run(name, func(t *testing.T) {
			var in SignedIn
			a := w.must(201, request{method: "POST", path: "/v1/sessions", header: test.header, body: NewSession{Handle: "ann", Password: password, Cookie: true}}, &in)
			cookies := (&http.Response{Header: a.header}).Cookies()
			if len(cookies) != 1 {
				t.Fatalf("%v", a.header)
			}
			c := cookies[0]
			if c.Name != test.cookie || c.Secure != test.secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("%s", a.header.Get("Set-Cookie"))
			}
			if days := time.Until(c.Expires).Hours() / 24; c.MaxAge != 400*24*3600 || days < 399 || days > 400 {
				t.Errorf("kept for %d s, until %v", c.MaxAge, c.Expires)
			}
			p := w.page(a, in)
			header := p.from("Origin", test.header["Origin"], "X-Forwarded-Proto", test.header["X-Forwarded-Proto"], "X-Forwarded-For", test.header["X-Forwarded-For"])
			w.must(200, request{method: "GET", path: "/v1/me", header: header}, nil)
			// A cookie for TLS is not taken without, nor the other way round.
			header["X-Forwarded-Proto"] = map[bool]string{true: "http", false: "https"}[test.secure]
			w.refused(request{method: "GET", path: "/v1/me", header: header}, 401, "unauthorized", "")

			a = w.must(204, request{method: "DELETE", path: "/v1/sessions/current", header: p.from("Origin", test.header["Origin"], "X-Forwarded-Proto", test.header["X-Forwarded-Proto"], "X-Forwarded-For", test.header["X-Forwarded-For"])}, nil)
			gone := (&http.Response{Header: a.header}).Cookies()
			if len(gone) != 1 || gone[0].Name != test.cookie || gone[0].Value != "" || gone[0].MaxAge >= 0 || !gone[0].Expires.Before(time.Now()) || gone[0].Path != "/" || gone[0].Secure != test.secure {
				t.Errorf("signing out sets %v", a.header["Set-Cookie"])
			}
			w.refused(request{method: "GET", path: "/v1/me", token: p.cookie}, 401, "unauthorized", "")
		})
	}
}

// X-Forwarded-Proto of just anybody says nothing.
func TestNobodyElseSaysThatThereIsTLS(t *testing.T) {
	w := newWorld(t, nil)
	p := w.signUpPage("ann", map[string]string{"Origin": w.url, "X-Forwarded-Proto": "https"})
	if p.name != "holdline" {
		t.Errorf("the cookie is called %s", p.name)
	}
}

func TestACookieIsGivenToOwnPagesOnly(t *testing.T) {
	w := newWorld(t, nil)
	w.signUp("ann")
	host := strings.TrimPrefix(w.url, "http://")
	for name, header := range map[string]map[string]string{
		"from nowhere":           {},
		"from another origin":    {"Origin": "https://example.org"},
		"from another port":      {"Origin": "http://127.0.0.1:1"},
		"from an opaque origin":  {"Origin": "null"},
		"the Referer of another": {"Referer": "https://example.org/" + host},
		"another, own Referer":   {"Origin": "https://example.org", "Referer": w.url + "/legacy"},
		"a name that begins so":  {"Origin": w.url + ".example.org"},
		"a name before an @":     {"Origin": "http://" + host + "@example.org"},
		"another scheme":         {"Origin": "ftp://" + host},
		"no address":             {"Origin": "%"},
	} {
		for _, path := range []string{"/v1/sessions", "/v1/users"} {
			handle := map[string]string{"/v1/sessions": "ann", "/v1/users": "bob"}[path]
			p := w.refused(request{method: "POST", path: path, header: header, body: NewSession{Handle: handle, Password: password, Cookie: true}}, 403, "forbidden", "cookie")
			if p.Detail == "" {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
	w.signUpPage("bob", map[string]string{"Referer": w.url + "/legacy"})                      // it was not made above
	w.signUpPage("cleo", map[string]string{"Origin": strings.ToUpper(w.url[:7]) + w.url[7:]}) // schemes have no case
	a := w.must(201, request{method: "POST", path: "/v1/sessions", header: map[string]string{"Origin": w.url},
		body: url.Values{"handle": {"bob"}, "password": {password}, "cookie": {"true"}}}, nil) // a page without script
	if a.header.Get("Set-Cookie") == "" {
		t.Errorf("%v", a.header)
	}
	if a = w.must(201, request{method: "POST", path: "/v1/sessions", body: NewSession{Handle: "bob", Password: password}}, nil); a.header.Get("Set-Cookie") != "" {
		t.Errorf("a cookie that nobody asked for: %v", a.header)
	}
}

func TestACookieReads(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUpPage("ann", nil)
	var me Me
	a := w.must(200, request{method: "GET", path: "/v1/me", header: ann.from()}, &me)
	if me.User.Id != ann.user.Id || me.FormToken != ann.form {
		t.Errorf("%+v, signed up as %+v", me, ann)
	}
	if a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Error("another origin could read with the cookie")
	}
	if a = w.must(200, request{method: "GET", path: "/v1/me", token: ann.cookie, header: ann.from()}, nil); strings.Contains(string(a.body), "form_token") {
		t.Errorf("a form token for somebody who uses a token: %s", a.body)
	}
	w.must(200, request{method: "GET", path: "/v1/inbox", header: ann.from()}, nil)
	w.refused(request{method: "GET", path: "/v1/me", header: map[string]string{"Cookie": "holdline=" + ann.cookie + "x"}}, 401, "unauthorized", "")
	w.refused(request{method: "GET", path: "/v1/me", header: map[string]string{"Cookie": "holdline="}}, 401, "unauthorized", "")
}

// What other sites can make a browser send with the cookie is refused, and
// changes nothing.
func TestOtherSitesCannotUseTheCookie(t *testing.T) {
	w := newWorld(t, nil)
	ann, eve := w.signUpPage("ann", nil), w.signUpPage("eve", nil)
	again := w.page(func() (answer, SignedIn) {
		var in SignedIn
		a := w.must(201, request{method: "POST", path: "/v1/sessions", header: map[string]string{"Origin": w.url}, body: NewSession{Handle: "ann", Password: password, Cookie: true}}, &in)
		return a, in
	}())
	c := w.group(account{ann.user, ann.cookie}).Id
	path := "/v1/conversations/" + c + "/messages"
	const message = `{"client_id":"m-1","text":"forged"}`
	form := func(more ...string) url.Values {
		v := url.Values{"client_id": {"m-1"}, "text": {"forged"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	own := func(header ...string) map[string]string { return ann.from(append(header, "Origin", w.url)...) }

	for name, test := range map[string]struct {
		request
		field string
	}{
		"another origin":                 {request{header: ann.from("Origin", "https://example.org"), body: message}, ""},
		"another origin, own Referer":    {request{header: ann.from("Origin", "https://example.org", "Referer", w.url), body: message}, ""},
		"an opaque origin":               {request{header: ann.from("Origin", "null"), body: message}, ""},
		"neither Origin nor Referer":     {request{header: ann.from(), body: message}, ""},
		"another Referer":                {request{header: ann.from("Referer", "https://example.org/"), body: message}, ""},
		"text":                           {request{header: own(), kind: "text/plain", body: message}, ""},
		"text, with a parameter":         {request{header: own(), kind: "text/plain; charset=utf-8", body: message}, ""},
		"no type":                        {request{header: own(), kind: "-", body: message}, ""},
		"a form":                         {request{header: own(), body: form()}, ""},
		"a form from nowhere":            {request{header: ann.from(), body: form()}, ""},
		"a form with an empty token":     {request{header: own(), body: form("form_token", "")}, ""},
		"a form with a wrong token":      {request{header: own(), body: form("form_token", "x")}, "form_token"},
		"a form with eve's token":        {request{header: own(), body: form("form_token", eve.form)}, "form_token"},
		"a form with another session's":  {request{header: own(), body: form("form_token", again.form)}, "form_token"},
		"a form with the session token":  {request{header: own(), body: form("form_token", ann.cookie)}, "form_token"},
		"a token cut short":              {request{header: own(), body: form("form_token", ann.form[:21])}, "form_token"},
		"JSON with eve's token":          {request{header: own(), body: `{"client_id":"m-1","text":"forged","form_token":"` + eve.form + `"}`}, "form_token"},
		"a header with eve's token":      {request{header: own(formTokenHeader, eve.form), body: message}, "form_token"},
		"a wrong header, a right field":  {request{header: own(formTokenHeader, "x"), body: form("form_token", ann.form)}, "form_token"},
		"a ticket, from another origin":  {request{path: "/v1/tickets", header: ann.from("Origin", "https://example.org")}, ""},
		"signing out, from elsewhere":    {request{method: "DELETE", path: "/v1/sessions/current", header: ann.from("Origin", "https://example.org")}, ""},
		"signing out, from nowhere":      {request{method: "DELETE", path: "/v1/sessions/current", header: ann.from()}, ""},
		"settings, from elsewhere":       {request{method: "PATCH", path: "/v1/me", header: ann.from("Origin", "https://example.org"), body: `{"read_receipts":false}`}, ""},
		"a conversation, from elsewhere": {request{path: "/v1/conversations", header: ann.from("Origin", "https://example.org"), body: `{"kind":"direct","members":["eve"]}`}, ""},
	} {
		t.Run(name, func(*testing.T) {
			r := test.request
			if r.path == "" {
				r.path = path
			}
			if r.method == "" {
				r.method = "POST"
			}
			w.refused(r, 403, "forbidden", test.field)
		})
	}
	if page := w.events(account{ann.user, ann.cookie}, c, "?after=0"); len(page.Events) != 1 {
		t.Errorf("forged: %+v", page.Events)
	}

	// What does prove the page.
	for i, r := range []request{
		{header: own(), body: `{"client_id":"1","text":"own origin"}`},
		{header: own(), kind: "application/json; charset=utf-8", body: `{"client_id":"1b","text":"own origin"}`},
		{header: ann.from("Referer", w.url+"/legacy?x"), body: `{"client_id":"2","text":"own Referer"}`},
		{header: ann.from(formTokenHeader, ann.form), body: `{"client_id":"3","text":"form token in the header"}`},
		{header: ann.from(), body: url.Values{"client_id": {"4"}, "text": {"form token"}, "form_token": {ann.form}}},
		{header: ann.from("Origin", "null"), kind: "-", body: `{"client_id":"5","text":"form token","form_token":"` + ann.form + `"}`},
		{header: ann.from("Origin", "https://example.org"), token: ann.cookie, body: `{"client_id":"6","text":"a token of its own"}`},
	} {
		r.method, r.path = "POST", path
		if a := w.do(r); a.status != 201 {
			t.Errorf("%d: %d %s", i, a.status, a.body)
		}
	}
	// A form token is no credential.
	w.refused(request{method: "POST", path: path, body: form("form_token", ann.form)}, 401, "unauthorized", "")
	w.refused(request{method: "POST", path: path, body: form("access_token", ann.form)}, 401, "unauthorized", "")
	// Browsers ask first before they let another origin send the header, and are told no.
	a := w.must(204, request{method: "OPTIONS", path: path, header: map[string]string{"Origin": "https://example.org"}}, nil)
	if strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), "form") {
		t.Errorf("%v", a.header)
	}
}

// A form of a page without script signs out by POST; it takes the form token to be
// believed, and the cookie goes, in an envelope too.
func TestAFormSignsOut(t *testing.T) {
	w := newWorld(t, nil)
	for handle, query := range map[string]string{"ann": "", "bob": "&envelope=1"} {
		ann := w.signUpPage(handle, nil)
		out := request{method: "POST", path: "/v1/sessions/current?method=DELETE", header: ann.from("Origin", "https://example.org")}
		w.refused(out, 403, "forbidden", "")
		out.body = url.Values{"form_token": {"x"}}
		w.refused(out, 403, "forbidden", "form_token")
		w.must(200, request{method: "GET", path: "/v1/me", header: ann.from()}, nil)

		out = request{method: "POST", path: "/v1/sessions/current?method=DELETE" + query, header: ann.from(), body: url.Values{"form_token": {ann.form}}}
		a := w.do(out)
		if want := map[string]int{"": 204, "&envelope=1": 200}[query]; a.status != want || !strings.Contains(a.header.Get("Set-Cookie"), "holdline=;") {
			t.Errorf("%s: %d %v %s", query, a.status, a.header["Set-Cookie"], a.body)
		}
		w.refused(request{method: "GET", path: "/v1/me", header: ann.from()}, 401, "unauthorized", "")
	}
}

// Form tokens are not compressed beside what others wrote (BREACH).
func TestAFormTokenIsNotCompressed(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUpPage("ann", nil)
	a := w.must(200, request{method: "GET", path: "/v1/me", header: ann.from("Accept-Encoding", "gzip")}, nil)
	if a.header.Get("Content-Encoding") != "" {
		t.Errorf("%v", a.header)
	}
}

func TestFormTokensAreBoundToTheirPurpose(t *testing.T) {
	a := newAuthenticator(nil, []byte("0123456789abcdef0123456789abcdef"), time.Minute, nil)
	other := newAuthenticator(nil, []byte("another key, of another database"), time.Minute, nil)
	user, session := store.NewID(), store.NewID()
	form := a.FormToken(user, session)
	ticket, _ := a.tickets.issue(user, session, time.Now())
	if form == other.FormToken(user, session) || form == a.FormToken(session, user) || strings.HasSuffix(ticket, form) || len(form) != 22 {
		t.Errorf("form token %s, ticket %s", form, ticket)
	}
}

// A poll that waits ends with the session of its cookie.
func TestAPollEndsWithItsCookiesSession(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.signUpPage("ann", nil)
	var first InboxPage
	w.must(200, request{method: "GET", path: "/v1/inbox", header: ann.from()}, &first)
	got := make(chan answer, 1)
	go func() {
		got <- w.do(request{method: "GET", path: "/v1/inbox?wait=50&cursor=" + first.Cursor, header: ann.from()})
	}()
	w.waiting(1)
	w.must(204, request{method: "DELETE", path: "/v1/sessions/current", header: ann.from("Origin", w.url)}, nil)
	if a := <-got; a.status != 401 || a.problem(t).Code != "unauthorized" {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.waiting(0)
}

func TestCookiesAndFormTokensAreNotLogged(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AccessLog = true })
	ann := w.signUpPage("ann", nil)
	w.must(200, request{method: "GET", path: "/v1/me", header: ann.from()}, nil)
	w.must(201, request{method: "POST", path: "/v1/tickets", header: ann.from(), body: url.Values{"form_token": {ann.form}}}, nil)
	w.refused(request{method: "POST", path: "/v1/tickets?form_token=" + ann.form, header: ann.from("Origin", w.url)}, 400, "invalid", "form_token")
	for _, secret := range []string{ann.cookie, ann.cookie[15:], ann.form} {
		if logs := w.logs.String(); strings.Contains(logs, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func TestPagesAreServedBesideTheAPI(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Pages = []Page{{Path: "/hello", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write([]byte("hello"))
		})}}
	})
	for _, method := range []string{"GET", "HEAD", "POST"} {
		req, err := http.NewRequest(method, w.url+"/hello", nil)
		must(t, err)
		resp, err := http.DefaultTransport.RoundTrip(req)
		must(t, err)
		must(t, resp.Body.Close())
		if want := map[string]int{"POST": 405}[method]; want == 0 && (resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-cache") || want != 0 && resp.StatusCode != want {
			t.Errorf("%s: %d %v", method, resp.StatusCode, resp.Header)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
