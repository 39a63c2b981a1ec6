package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"holdline/store"
)

// Codes of failures that only HTTP knows; the others are the store's.
const (
	codeSignUpClosed         store.Code = "signup_closed"
	codeMethodNotAllowed     store.Code = "method_not_allowed"
	codeTimeout              store.Code = "timeout"
	codeBodyTooLarge         store.Code = "body_too_large"
	codeUnsupportedMediaType store.Code = "unsupported_media_type"
	codeRateLimited          store.Code = "rate_limited"
	codeShuttingDown         store.Code = "shutting_down"
)

// statuses gives each code its status. A code that is missing here is internal.
var statuses = map[store.Code]int{
	store.CodeInvalid:        http.StatusBadRequest,
	store.CodeUnknownMember:  http.StatusBadRequest,
	store.CodeUnauthorized:   http.StatusUnauthorized,
	store.CodeForbidden:      http.StatusForbidden,
	codeSignUpClosed:         http.StatusForbidden,
	store.CodeNotFound:       http.StatusNotFound,
	codeMethodNotAllowed:     http.StatusMethodNotAllowed,
	codeTimeout:              http.StatusRequestTimeout,
	store.CodeConflict:       http.StatusConflict,
	store.CodeHandleTaken:    http.StatusConflict,
	store.CodeClientIDReused: http.StatusConflict,
	store.CodeCursorReset:    http.StatusGone,
	codeBodyTooLarge:         http.StatusRequestEntityTooLarge,
	codeUnsupportedMediaType: http.StatusUnsupportedMediaType,
	codeRateLimited:          http.StatusTooManyRequests,
	store.CodeInternal:       http.StatusInternalServerError,
	store.CodeOverloaded:     http.StatusServiceUnavailable,
	store.CodeUnavailable:    http.StatusServiceUnavailable,
	store.CodeOutcomeUnknown: http.StatusServiceUnavailable,
	codeShuttingDown:         http.StatusServiceUnavailable,
	store.CodeStorageFull:    http.StatusInsufficientStorage,
}

// invalid is a request that breaks a rule; field may be empty.
func invalid(field, format string, args ...any) error {
	return &store.Error{Code: store.CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// notFound is said of what does not exist and of what is not the caller's to see.
func notFound(what string) error {
	return store.Errorf(store.CodeNotFound, "There is no such %s.", what)
}

// retryError is a failure that names its own waiting time.
type retryError struct {
	cause *store.Error
	after time.Duration
}

func (e *retryError) Error() string { return e.cause.Error() }
func (e *retryError) Unwrap() error { return e.cause }

// problemOf turns any error into what its caller is told. Errors without a
// code become `internal`, whose cause only the log learns.
func problemOf(err error) Problem {
	var e *store.Error
	if !errors.As(err, &e) {
		e = foreignError(err)
	}
	status, known := statuses[e.Code]
	if !known || e.Code == store.CodeInternal {
		return Problem{
			Status: http.StatusInternalServerError,
			Title:  http.StatusText(http.StatusInternalServerError),
			Code:   string(store.CodeInternal),
			Detail: "Something went wrong on the server. It has been logged.",
		}
	}
	p := Problem{Status: status, Title: http.StatusText(status), Code: string(e.Code), Field: e.Field, Detail: sentence(e, status)}
	var reset *resetError
	if errors.As(err, &reset) {
		p.FirstSeq, p.LastSeq = reset.cause.FirstSeq, reset.cause.LastSeq
	}
	return p
}

// sentence makes a message fit to be shown to a person: it names the field
// and reads as a sentence, whoever wrote it.
func sentence(e *store.Error, status int) string {
	m := e.Message
	if m == "" {
		return http.StatusText(status) + "."
	}
	first, size := utf8.DecodeRuneInString(m)
	switch {
	case e.Field != "" && !strings.Contains(m, e.Field) && unicode.IsLower(first):
		m = e.Field + ": " + m
	case e.Field == "" || !strings.HasPrefix(m, e.Field):
		m = string(unicode.ToUpper(first)) + m[size:]
	}
	if last := m[len(m)-1]; last != '.' && last != '\'' && last != '`' {
		m += "."
	}
	return m
}

// foreignError gives a code to the errors that other packages make.
func foreignError(err error) *store.Error {
	var tooLarge *http.MaxBytesError
	var he *echo.HTTPError
	switch {
	case errors.As(err, &tooLarge):
		return store.Errorf(codeBodyTooLarge, "A body may have %d bytes here.", tooLarge.Limit)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return store.Errorf(store.CodeUnavailable, "The server could not answer in time. Try again.")
	case errors.As(err, &he):
		switch he.Code {
		case http.StatusNotFound:
			return store.Errorf(store.CodeNotFound, "There is nothing at this address. /openapi.yaml lists what there is.")
		case http.StatusMethodNotAllowed:
			return store.Errorf(codeMethodNotAllowed, "This address does not answer to this method; the Allow header lists those it answers to.")
		case http.StatusBadRequest:
			return store.Errorf(store.CodeInvalid, "%v", he.Message)
		}
	}
	return &store.Error{Code: store.CodeInternal, Err: err}
}

// retryAfter is how many seconds a caller should wait; 0 where waiting does
// not help. Jittered, so that those refused together do not return together.
func retryAfter(err error, status int) int {
	var r *retryError
	switch {
	case errors.As(err, &r):
		return max(1, int((r.after+time.Second-1)/time.Second))
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return 1 + rand.IntN(5)
	}
	return 0
}

// fail answers err as a problem. It is the only place that writes one.
func (s *Server) fail(c echo.Context, err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		s.logger.LogAttrs(c.Request().Context(), slog.LevelError, "request failed",
			slog.String("method", c.Request().Method), slog.String("route", c.Path()), slog.Any("error", err))
	}
	if c.Response().Committed {
		return
	}
	h := c.Response().Header()
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(c.Request()))
	}
	if seconds := retryAfter(err, p.Status); seconds > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	if p.Status == http.StatusRequestTimeout || p.Status == http.StatusRequestEntityTooLarge {
		h.Set("Connection", "close") // what is left of the body will not be read
	}
	body, err := json.Marshal(&p)
	if err != nil {
		s.logger.Error("encoding a problem", "error", err)
	}
	s.write(c, p.Status, problemJSON, body)
}

// challenge is the WWW-Authenticate of a 401 (RFC 6750 section 3).
func challenge(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return `Bearer realm="holdline"`
	}
	return `Bearer realm="holdline", error="invalid_token"`
}
