package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// overridden is where the context keeps that a POST stands for another method.
const overridden = "method-overridden"

// overrideMethod lets a POST be the call of another method, for clients that
// know only GET and POST. It comes before routing. What else `method` may be,
// and where, is refused by checkQuery.
func overrideMethod(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method != http.MethodPost || r.URL.RawQuery == "" {
			return next(c)
		}
		switch meant := c.QueryParams()["method"]; {
		case len(meant) != 1:
		case meant[0] == http.MethodPatch, meant[0] == http.MethodPut, meant[0] == http.MethodDelete:
			r.Method = meant[0]
			c.Set(overridden, true)
		}
		return next(c)
	}
}

// isOverridden reports whether the call came as a POST that stands for another method.
func (c *call) isOverridden() bool {
	is, _ := c.Get(overridden).(bool)
	return is
}

// checkBareBody checks the body of a POST that stands for a call without one:
// there may be an access_token in it, and nothing else.
func (s *Server) checkBareBody(c *call) error {
	if err := s.readBody(c); err != nil || len(c.body) == 0 {
		return err
	}
	body := c.body
	if c.bodyForm {
		var err error
		if body, err = formJSON(s.bareBody, body); err != nil {
			return err
		}
	}
	return s.bareBody.json(body)
}
