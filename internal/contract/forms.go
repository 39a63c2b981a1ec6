package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3filter"
)

// plainForm undoes the forms that change what an exchange looks like, so that
// what is inside can be held against its call: a POST that stands for another
// method, and an answer in its envelope.
func (tr *transport) plainForm(r *http.Request, answer *http.Response, received []byte) (*http.Request, *http.Response, []byte, error) {
	query := r.URL.Query()
	if meant := query["method"]; r.Method == http.MethodPost && len(meant) == 1 && (meant[0] == "PATCH" || meant[0] == "PUT" || meant[0] == "DELETE") {
		r = r.Clone(r.Context())
		r.Method = meant[0]
	}
	if wants := query["envelope"]; len(wants) != 1 || wants[0] != "1" || isStream(answer.Header) || r.Method == http.MethodHead {
		return r, answer, received, nil
	}
	var e struct {
		Status     int             `json:"status"`
		Body       json.RawMessage `json:"body"`
		Cursor     string          `json:"cursor"`
		RetryAfter json.Number     `json:"retry_after"`
	}
	dec := json.NewDecoder(bytes.NewReader(received))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/json" || e.Body == nil {
		return r, answer, received, fmt.Errorf("no envelope: %d %s, %w", answer.StatusCode, answer.Header.Get("Content-Type"), err)
	}
	inside := *answer
	inside.StatusCode, inside.Header = e.Status, answer.Header.Clone()
	if e.RetryAfter.String() != answer.Header.Get("Retry-After") || e.Cursor != answer.Header.Get("Holdline-Cursor") {
		return r, answer, received, fmt.Errorf("the envelope differs from the headers")
	}
	body := []byte(e.Body)
	var text string
	switch {
	case e.Status == http.StatusNoContent:
		if string(body) != "null" {
			return r, answer, received, fmt.Errorf("a 204 with a body")
		}
		inside.Header.Del("Content-Type")
		body = nil
	case json.Unmarshal(body, &text) == nil:
		inside.Header.Set("Content-Type", "text/plain; charset=utf-8")
		body = []byte(text)
	case e.Status >= 400:
		inside.Header.Set("Content-Type", "application/problem+json")
	}
	return r, &inside, body, nil
}

// compactSchema is the schema that an answer has in its compact form, if it was asked for.
func compactSchema(input *openapi3filter.RequestValidationInput, status int, kind string) (name string, ok bool) {
	if input.QueryParams.Get("compact") != "1" {
		return "", false
	}
	media := input.Route.Operation.Responses.Status(status).Value.Content[kind]
	if media == nil {
		return "", false
	}
	name, ok = media.Extensions["x-compact"].(string)
	return name, ok
}
