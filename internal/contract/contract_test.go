package contract

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// recorder is a testing.TB that keeps what it is told instead of failing.
type recorder struct {
	testing.TB
	faults []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// canned answers every request with the same bytes.
type canned struct {
	status int
	header http.Header
	body   string
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	h := http.Header{
		"Cache-Control":               {"no-store"},
		"Access-Control-Allow-Origin": {"*"},
		"Referrer-Policy":             {"no-referrer"},
		"X-Content-Type-Options":      {"nosniff"},
	}
	for name, values := range c.header {
		h[name] = values
	}
	return &http.Response{StatusCode: c.status, Header: h, ContentLength: int64(len(c.body)), Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

func TestTransportTellsRightFromWrong(t *testing.T) {
	const (
		id      = "4Jx0aQ7bTz1"
		user    = `{"id":"2sHk9Qd0xWb","handle":"ann","display_name":"Ann","created_at":"2026-11-25T08:00:00.000Z"}`
		problem = `{"title":"Not Found","status":404,"code":"not_found","detail":"There is no such user."}`
	)
	asJSON, asProblem := http.Header{"Content-Type": {"application/json"}}, http.Header{"Content-Type": {"application/problem+json"}}
	with := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		h.Set(name, value)
		return h
	}
	for name, test := range map[string]struct {
		method, path, kind, sent string
		answer                   canned
		fault                    string // part of the complaint; empty: none
	}{
		"right":                     {"GET", "/v1/users/" + id, "", "", canned{200, asJSON, user}, ""},
		"problem":                   {"GET", "/v1/users/" + id, "", "", canned{404, asProblem, problem}, ""},
		"undocumented status":       {"GET", "/v1/users/" + id, "", "", canned{409, asProblem, problem}, "status"},
		"undocumented field":        {"GET", "/v1/users/" + id, "", "", canned{200, asJSON, strings.Replace(user, "{", `{"age":7,`, 1)}, "age"},
		"missing field":             {"GET", "/v1/users/" + id, "", "", canned{200, asJSON, `{}`}, "id"},
		"wrong type":                {"GET", "/v1/users/" + id, "", "", canned{200, with(asJSON, "Content-Type", "text/html"), user}, "text/html"},
		"not JSON":                  {"GET", "/v1/users/" + id, "", "", canned{200, asJSON, `{`}, "decode"},
		"stored":                    {"GET", "/v1/users/" + id, "", "", canned{200, with(asJSON, "Cache-Control", "private"), user}, "no-store"},
		"error that is no problem":  {"GET", "/v1/users/" + id, "", "", canned{404, asJSON, problem}, "an error of type"},
		"401 without challenge":     {"GET", "/v1/me", "", "", canned{401, asProblem, problem}, "WWW-Authenticate"},
		"503 without Retry-After":   {"GET", "/readyz", "", "", canned{503, asProblem, problem}, "Retry-After"},
		"no body where none is due": {"DELETE", "/v1/sessions/current", "", "", canned{204, nil, ""}, ""},
		"body where none is due":    {"DELETE", "/v1/sessions/current", "", "", canned{204, asJSON, "{}"}, "no body"},
		"unknown path":              {"GET", "/v1/nothing", "", "", canned{404, asProblem, problem}, ""},
		"unknown path, answered":    {"GET", "/v1/nothing", "", "", canned{200, asJSON, user}, "not in the contract"},
		"405 without Allow":         {"PUT", "/v1/me", "", "", canned{405, asProblem, problem}, "Allow"},
		"accepted, though invalid":  {"POST", "/v1/sessions", "application/json", `{"handle":"ann"}`, canned{201, asJSON, `{"token":"x","user":` + user + `}`}, "should have been refused"},
		"refused, being invalid":    {"POST", "/v1/sessions", "application/json", `{"handle":"ann"}`, canned{400, asProblem, problem}, ""},
		"untyped JSON":              {"POST", "/v1/sessions", "", `{"handle":"ann","password":"12345678"}`, canned{201, asJSON, `{"token":"x","user":` + user + `}`}, ""},
		"form":                      {"POST", "/v1/sessions", "application/x-www-form-urlencoded", `handle=ann&password=12345678`, canned{201, asJSON, `{"token":"x","user":` + user + `}`}, ""},
		"form with a map":           {"POST", "/v1/acks", "application/x-www-form-urlencoded", `read[` + id + `]=7`, canned{204, nil, ""}, ""},
		"cache buster":              {"GET", "/v1/users/" + id + "?t=1", "", "", canned{200, asJSON, user}, ""},
		"kept":                      {"GET", "/openapi.yaml", "", "", canned{200, http.Header{"Content-Type": {"application/yaml"}, "Cache-Control": {"no-cache"}, "Etag": {`"x"`}}, "openapi: 3.0.3"}, ""},
		"kept, without ETag":        {"GET", "/openapi.yaml", "", "", canned{200, http.Header{"Content-Type": {"application/yaml"}, "Cache-Control": {"no-cache"}}, "openapi: 3.0.3"}, "no-store"},
		"stream":                    {"GET", "/v1/conversations/" + id + "/stream", "", "", canned{200, http.Header{"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-store, no-transform"}}, "retry: 1\n\n"}, ""},
		"stream where none is due":  {"GET", "/v1/conversations/" + id + "/events", "", "", canned{200, http.Header{"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-store, no-transform"}}, "retry: 1\n\n"}, "text/event-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &recorder{}
			client := http.Client{Transport: Transport(fake, test.answer)}
			r, err := http.NewRequest(test.method, "http://holdline.test"+test.path, strings.NewReader(test.sent))
			if err != nil {
				t.Fatal(err)
			}
			if test.kind != "" {
				r.Header.Set("Content-Type", test.kind)
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); err != nil || string(body) != test.answer.body {
				t.Errorf("the answer was handed on as %q, %v", body, err)
			}
			faults := strings.Join(fake.faults, "\n")
			if (test.fault == "") != (faults == "") || !strings.Contains(faults, test.fault) {
				t.Errorf("complaint %q, want one about %q", faults, test.fault)
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	for data, right := range map[string]bool{
		`{"conversation_id":"4Jx0aQ7bTz1","seq":1,"type":"title","title":"x"}`: true,
		`{"conversation_id":"4Jx0aQ7bTz1","seq":1}`:                            false,
		`{"conversation_id":"4Jx0aQ7bTz1","seq":1,"type":"title","nope":1}`:    false,
		`{"conversation_id":"short","seq":1,"type":"title"}`:                   false,
		`{`: false,
	} {
		fake := &recorder{}
		CheckJSON(fake, "Event", []byte(data))
		if (len(fake.faults) == 0) != right {
			t.Errorf("%s: %v", data, fake.faults)
		}
	}
}
