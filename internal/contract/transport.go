package contract

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// plainTypes are the types whose bodies the contract calls strings.
var plainTypes = []string{"application/yaml", "text/event-stream", "text/html"}

var registerDecoders = sync.OnceFunc(func() {
	for _, t := range plainTypes {
		openapi3filter.RegisterBodyDecoder(t, openapi3filter.PlainBodyDecoder)
	}
})

// Transport wraps base (nil: http.DefaultTransport) and fails t on every
// exchange that the contract does not allow. Streams are passed through with
// their head checked; other bodies are read whole before they are handed on.
func Transport(t testing.TB, base http.RoundTripper) http.RoundTripper {
	registerDecoders()
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{t: t, base: base, doc: Document(t)}
}

type transport struct {
	t    testing.TB
	base http.RoundTripper
	doc  *openapi3.T
}

// RoundTrip implements http.RoundTripper.
func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close() // all of it has been read
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	answer, err := tr.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	var received []byte
	if !isStream(answer.Header) {
		received, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close() // as far as it came
		if err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		answer.Body = io.NopCloser(bytes.NewReader(received))
	}
	if err := tr.check(r, sent, answer, received); err != nil {
		tr.t.Errorf("%s %s was answered %d against the contract: %v\nsent: %s\nreceived: %s",
			r.Method, r.URL.Path, answer.StatusCode, err, clip(sent), clip(received))
	}
	return answer, nil
}

func (tr *transport) check(r *http.Request, sent []byte, answer *http.Response, received []byte) error {
	if err := checkCommon(answer); err != nil {
		return err
	}
	if r.Method == http.MethodOptions {
		if answer.StatusCode != http.StatusNoContent {
			return fmt.Errorf("a preflight is answered 204")
		}
		return nil
	}
	r, answer, received, err := tr.plainForm(r, answer, received) //nolint:bodyclose // it has been read
	if err != nil {
		return err
	}
	route, params := tr.route(r)
	if route == nil {
		return tr.checkUnrouted(r, answer, received)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, Route: route, PathParams: params, QueryParams: withoutCacheBuster(r),
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
			SkipSettingDefaults:   true,
			ExcludeResponseBody:   isStream(answer.Header),
		},
	}
	if answer.StatusCode < 300 {
		if err := validateRequest(input, sent); err != nil {
			return fmt.Errorf("the request should have been refused: %w", err)
		}
	}
	return validateResponse(input, answer, received)
}

// validateRequest checks what was sent. JSON may come without a type.
func validateRequest(input *openapi3filter.RequestValidationInput, sent []byte) error {
	r := input.Request.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(sent))
	r.ContentLength = int64(len(sent))
	if len(sent) > 0 && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	copied := *input
	copied.Request = r
	return openapi3filter.ValidateRequest(context.Background(), &copied)
}

func validateResponse(input *openapi3filter.RequestValidationInput, answer *http.Response, received []byte) error {
	header := answer.Header.Clone()
	if kind, _, err := mime.ParseMediaType(header.Get("Content-Type")); err == nil {
		header.Set("Content-Type", kind)
	}
	if err := checkType(input, answer.StatusCode, header.Get("Content-Type")); err != nil {
		return err
	}
	if schema, ok := compactSchema(input, answer.StatusCode, header.Get("Content-Type")); ok {
		return checkSchema(schema, received)
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 answer.StatusCode,
		Header:                 header,
		Body:                   io.NopCloser(bytes.NewReader(received)),
		Options:                input.Options,
	})
}

// checkType holds streams and HEAD to the types of the contract too.
func checkType(input *openapi3filter.RequestValidationInput, status int, kind string) error {
	documented := input.Route.Operation.Responses.Status(status)
	if documented == nil {
		return fmt.Errorf("status %d is not documented", status)
	}
	if content := documented.Value.Content; len(content) > 0 && content[kind] == nil {
		return fmt.Errorf("type %q is not documented for status %d", kind, status)
	} else if len(content) == 0 && kind != "" {
		return fmt.Errorf("type %q, where no body is documented", kind)
	}
	return nil
}

// checkUnrouted checks the answer to what is no call of the contract: a
// problem, or a file that the reference loads.
func (tr *transport) checkUnrouted(r *http.Request, answer *http.Response, received []byte) error {
	if answer.StatusCode < 400 {
		if strings.HasPrefix(r.URL.Path, "/docs/") {
			return nil
		}
		return fmt.Errorf("this call is not in the contract")
	}
	if answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusMethodNotAllowed {
		return fmt.Errorf("status %d for a call that is not in the contract", answer.StatusCode)
	}
	if answer.StatusCode == http.StatusMethodNotAllowed && answer.Header.Get("Allow") == "" {
		return fmt.Errorf("405 without Allow (RFC 9110 section 15.5.6)")
	}
	if r.Method != http.MethodHead {
		CheckJSON(tr.t, "Problem", received)
	}
	return nil
}

// checkCommon checks what is promised of every answer.
func checkCommon(answer *http.Response) error {
	h := answer.Header
	if want := cacheControl(h); h.Get("Cache-Control") != want {
		return fmt.Errorf("Cache-Control is %q, not %s", h.Get("Cache-Control"), want)
	}
	if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
		return fmt.Errorf("CORS must be * and without credentials")
	}
	if h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
		return fmt.Errorf("security headers are missing: %v", h)
	}
	if isStream(h) {
		return nil
	}
	if answer.ContentLength < 0 && !answer.Uncompressed && answer.StatusCode != http.StatusNotModified {
		return fmt.Errorf("a finite answer without Content-Length")
	}
	if answer.StatusCode >= 400 && h.Get("Content-Type") != "application/problem+json" {
		return fmt.Errorf("an error of type %q", h.Get("Content-Type"))
	}
	return nil
}

// route finds the operation of a request, and the parts of its path; nil if
// the contract has none. HEAD is GET without its body, but for streams.
func (tr *transport) route(r *http.Request) (*routers.Route, map[string]string) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for template, item := range tr.doc.Paths.Map() {
		params, ok := match(template, r.URL.EscapedPath())
		if !ok {
			continue
		}
		op := item.GetOperation(method)
		if op == nil || r.Method == http.MethodHead && streams(op) {
			return nil, nil
		}
		return &routers.Route{Spec: tr.doc, Path: template, PathItem: item, Method: method, Operation: op}, params
	}
	return nil, nil
}

func streams(op *openapi3.Operation) bool {
	ok := op.Responses.Status(http.StatusOK)
	return ok != nil && ok.Value.Content["text/event-stream"] != nil
}

// match compares a path with a template like /v1/users/{user_id}.
func match(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, w := range want {
		switch {
		case strings.HasPrefix(w, "{"):
			params[strings.Trim(w, "{}")] = got[i]
		case w != got[i]:
			return nil, false
		}
	}
	return params, true
}

// withoutCacheBuster is the query without t, which every call ignores.
func withoutCacheBuster(r *http.Request) map[string][]string {
	query := r.URL.Query()
	query.Del("t")
	return query
}

// cacheControl is what an answer must say; proxies must leave streams as they are.
// What has an ETag is the same for everybody.
func cacheControl(h http.Header) string {
	switch {
	case isStream(h):
		return "no-store, no-transform"
	case h.Get("ETag") != "":
		return "no-cache"
	}
	return "no-store"
}

// isStream tells streams from finite answers: events, or lines of text, which
// proxies are told not to buffer.
func isStream(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "text/event-stream" || kind == "text/plain" && h.Get("X-Accel-Buffering") == "no"
}

func clip(b []byte) []byte {
	const most = 2000
	if len(b) > most {
		return append(b[:most:most], "…"...)
	}
	return b
}
