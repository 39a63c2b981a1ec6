package holdline

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Codes of problems that a client decides by; openapi.yaml lists all.
const (
	codeRateLimited    = "rate_limited"
	codeCursorReset    = "cursor_reset"
	codeOutcomeUnknown = "outcome_unknown"
	codeInternal       = "internal"
)

// Error makes a Problem (RFC 9457) an error: why the server refused. Decide by Code, show Detail.
func (p *Problem) Error() string {
	if p.Field != "" {
		return fmt.Sprintf("holdline: %s (%d %s, field %s)", p.Detail, p.Status, p.Code, p.Field)
	}
	return fmt.Sprintf("holdline: %s (%d %s)", p.Detail, p.Status, p.Code)
}

// StatusError is an answer that the server itself does not give: something between it and the client made it, a
// proxy for instance.
type StatusError struct {
	Status      int
	ContentType string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("holdline: the answer is not the server's: status %d, type %q", e.Status, e.ContentType)
}

// failure is why an answer is none of those that were hoped for: a *Problem if the server says so, else a *StatusError.
func (a answer) failure() error {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")) // no type is another
	var p Problem
	if kind == "application/problem+json" && json.Unmarshal(a.body, &p) == nil && p.Code != "" && p.Status == a.status {
		return &p
	}
	return &StatusError{Status: a.status, ContentType: a.header.Get("Content-Type")}
}

// decode reads the JSON of a 200 or 201.
func (a answer) decode(v any) error {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || kind != "application/json" || a.status != http.StatusOK && a.status != http.StatusCreated {
		return a.failure()
	}
	err = json.Unmarshal(a.body, v)
	if err != nil && json.Valid(a.body) {
		return &shapeError{err}
	}
	return err
}

// retryAfter is how long the answer asks to wait; 0 if it does not. RFC 9110 section 10.2.3 allows a date too, which
// is taken against the answer's own Date, so that the local clock has no part in it.
func (a answer) retryAfter() time.Duration {
	value := a.header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return time.Duration(max(0, seconds)) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(now))
}
