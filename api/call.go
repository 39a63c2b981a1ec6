package api

import (
	"bytes"
	"context"

	"github.com/labstack/echo/v4"

	"holdline/store"
)

// call is one request on its way through its operation: the echo context that
// handlers get, with what was settled before them.
type call struct {
	echo.Context
	op  *operation
	ctx context.Context // the request's, with the request timeout unless the operation is held

	who    Identity
	parked bool  // the connection is the poll's own: see park
	cookie bool  // the caller came with a cookie
	ended  error // streams only: the credential was good once; the stream says so and ends

	body     []byte        // as received; valid until the handler returns
	buffer   *bytes.Buffer // that body lies in
	bodyForm bool          // body is a form
	bodyRead bool
}

// callOf returns what was settled about a request before its handler.
func callOf(c echo.Context) *call { return c.(*call) }

// actor is who is asking, as the store takes it.
func (c *call) actor() store.Actor { return c.who.Actor() }

// begin is the middleware of one operation: who is asking, then what the
// contract says of path and query, then the handler.
func (s *Server) begin(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(ec echo.Context) error {
			c := &call{Context: ec, op: op, ctx: ec.Request().Context()}
			if !op.held {
				var cancel context.CancelFunc
				c.ctx, cancel = context.WithTimeout(c.ctx, s.cfg.RequestTimeout)
				defer cancel()
			}
			defer c.release()
			err := s.admit(c)
			if err == nil {
				err = next(c)
			}
			if err != nil && op.stream {
				return s.comeBack(c, err)
			}
			return err
		}
	}
}

// admit settles who is asking, then what the contract says of path and query.
func (s *Server) admit(c *call) error {
	query, queryErr := parseQuery(c.Request().URL.RawQuery)
	if !c.op.public {
		if err := s.authenticate(c, query.Get("ticket")); err != nil {
			return err
		}
	}
	if queryErr != nil {
		return queryErr
	}
	if c.isOverridden() {
		query.Del("method")
	}
	if err := c.op.checkQuery(query); err != nil {
		return err
	}
	if c.isOverridden() && c.op.body == nil {
		if err := s.checkBareBody(c); err != nil {
			return err
		}
	}
	return c.op.checkPath(c)
}

// authenticate settles who is asking: by the Authorization header, else by a
// ticket where one will do, else by the body's access_token, else by the cookie.
func (s *Server) authenticate(c *call, ticket string) error {
	token, given, err := bearer(c.Request())
	var formToken string
	switch {
	case err != nil:
		return err
	case given:
		c.who, err = s.auth.Token(c.ctx, token)
		return err
	case ticket != "" && c.op.ticket:
		c.who, err = s.auth.Ticket(c.ctx, ticket)
		if c.op.stream && hasEnded(err) {
			c.ended, err = err, nil
		}
		return err
	case c.op.body != nil || c.isOverridden():
		if token, formToken, err = s.bodyTokens(c); err != nil {
			return err
		}
		if token != "" {
			c.who, err = s.auth.Token(c.ctx, token)
			return err
		}
	}
	if ticket != "" {
		return errNoTicketHere
	}
	if token = s.cookieToken(c.Request()); token != "" {
		return s.authenticateCookie(c, token, formToken)
	}
	return errNoCredentials
}

// parseID reads an id of the path; what names it in the refusal. Anything
// malformed names nothing, so it is not found rather than invalid.
func parseID(text, what string) (store.ID, error) {
	id, ok := store.ParseID(text)
	if !ok {
		return 0, notFound(what)
	}
	return id, nil
}
