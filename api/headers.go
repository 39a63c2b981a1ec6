package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// commonHeaders are on every answer. CORS is open to all origins and never with
// credentials: a token or a ticket is what lets a caller in, not where their
// page comes from.
var commonHeaders = http.Header{
	"Access-Control-Allow-Origin":   {"*"},
	"Access-Control-Expose-Headers": {"Content-Length, Holdline-Cursor, Retry-After, WWW-Authenticate"},
	"Cache-Control":                 {"no-store"},
	"Referrer-Policy":               {"no-referrer"}, // a ticket is part of the address
	"X-Content-Type-Options":        {"nosniff"},
}

// setCommonHeaders puts the headers of every answer into h. Hijacked streams,
// which write their own head, take them from here too.
func setCommonHeaders(h http.Header) {
	for name, values := range commonHeaders {
		h[name] = values[:1:1] // shared, and full: Add copies it
	}
}

// preflight answers a CORS preflight (Fetch standard, "CORS-preflight fetch").
// Any OPTIONS is answered so, whatever the address: it tells nothing.
func (s *Server) preflight(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID, Cache-Control")
	h.Set("Access-Control-Max-Age", "86400")
	return s.noContent(c)
}
