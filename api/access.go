package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
)

// outermost is around every request: headers, preflights, panics, errors, log.
func (s *Server) outermost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		began, parked := time.Now(), false
		setCommonHeaders(c.Response().Header())
		s.limitBody(c)
		defer func() {
			if r := recover(); r != nil {
				if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so too.
					panic(r)
				}
				s.fail(c, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
			}
			if !parked {
				s.logAccess(c, time.Since(began))
			}
		}()
		if c.Request().Method == http.MethodOptions {
			return s.preflight(c)
		}
		err = next(c)
		parked = errors.Is(err, errParked)
		if err != nil && !errors.Is(err, http.ErrHijacked) {
			s.fail(c, err)
		}
		return nil
	}
}

// logAccess logs one request. Of the query only the names and the harmless
// values are told; headers and bodies are not told at all.
func (s *Server) logAccess(c echo.Context, took time.Duration) {
	level := slog.LevelDebug
	if s.cfg.AccessLog {
		level = slog.LevelInfo
	}
	r := c.Request()
	if !s.logger.Enabled(r.Context(), level) {
		return
	}
	status := c.Response().Status
	if inside, ok := c.Get(answeredStatus).(int); ok {
		status = inside
	}
	s.logger.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.String("query", redactQuery(r.URL.RawQuery)),
		slog.Int("status", status),
		slog.Int64("bytes", c.Response().Size),
		slog.Duration("took", took),
		slog.String("from", c.RealIP()),
	)
}

// loggable are the query parameters whose values hold no secret and nothing
// that a person wrote.
var loggable = map[string]bool{
	"after": true, "before": true, "limit": true, "wait": true, "t": true, "method": true,
	"envelope": true, "compact": true, "max_bytes": true, "coalesce": true, "pad": true, "nudge": true,
}

// redactQuery writes a query for the log.
func redactQuery(raw string) string {
	if raw == "" {
		return ""
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return "(unreadable)"
	}
	for name := range query {
		if !loggable[name] {
			query[name] = []string{"…"}
		}
	}
	shown, err := url.QueryUnescape(query.Encode())
	if err != nil {
		return "(unreadable)"
	}
	return shorten(shown)
}
