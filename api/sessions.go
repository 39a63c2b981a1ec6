package api

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"holdline/store"
)

// errWrongPassword is the one answer to a wrong handle, a wrong password and a
// disabled account.
var errWrongPassword = store.Errorf(store.CodeUnauthorized, "Wrong handle or password.")

// CreateSession signs in.
func (s *Server) CreateSession(ec echo.Context) error {
	c := callOf(ec)
	var body NewSession
	if err := s.bind(c, &body); err != nil {
		return err
	}
	if err := checkLine("device_name", body.DeviceName); err != nil {
		return err
	}
	if body.Cookie && !s.fromOwnPage(c.Request()) {
		return errCookieElsewhere
	}
	forgive, err := s.signIns.attempt(body.Handle, c.RealIP(), s.auth.now())
	if err != nil {
		return err
	}
	user, passwordHash, err := s.checkPassword(c, body.Handle, body.Password)
	if errors.Is(err, errWrongPassword) {
		return err
	}
	forgive()
	if err != nil {
		return err
	}
	return s.startSession(c, user, passwordHash, body.DeviceName, body.Cookie)
}

// checkPassword finds the account of a handle and a password, and the hash that
// the password matched, in the same time whether the handle exists or not.
func (s *Server) checkPassword(c *call, handle, password string) (store.User, string, error) {
	user, hash, err := s.store.Credentials(c.ctx, handle)
	if err != nil && store.CodeOf(err) != store.CodeNotFound {
		return store.User{}, "", err
	}
	ok, err := s.passwords.verify(c.ctx, password, hash)
	if err != nil {
		return store.User{}, "", err
	}
	if !ok || user.DisabledAt != 0 {
		return store.User{}, "", errWrongPassword
	}
	return user, hash, nil
}

// startSession makes a session, if the password is still the one that was
// proved, and tells its token, to the caller or to a cookie.
func (s *Server) startSession(c *call, user store.User, passwordHash, deviceName string, cookie bool) error {
	token, hash := newToken(user.ID)
	session, err := s.store.SignIn(c.ctx, user.ID, passwordHash, hash, deviceName)
	if err != nil {
		return err
	}
	if cookie {
		s.setCookie(c, token)
		return s.answer(c, http.StatusCreated, SignedIn{User: userView(user), FormToken: s.auth.FormToken(user.ID, session.ID)})
	}
	return s.answer(c, http.StatusCreated, SignedIn{User: userView(user), Token: token})
}

// ListSessions lists the caller's live sessions, a page at a time.
func (s *Server) ListSessions(ec echo.Context, params ListSessionsParams) error {
	c := callOf(ec)
	limit := pageLimit(params.Limit)
	live, err := s.store.Sessions(c.ctx, c.who.User.ID, pageAfter(params.After), limit+1)
	if err != nil {
		return err
	}
	list := SessionList{Sessions: make([]Session, 0, len(live))}
	for _, session := range live {
		if len(list.Sessions) == limit {
			list.More = true
			list.Next = list.Sessions[limit-1].Id
			break
		}
		list.Sessions = append(list.Sessions, c.sessionView(session))
	}
	return s.answer(c, http.StatusOK, list)
}

// EndSession signs a session of the caller out, here at once.
func (s *Server) EndSession(ec echo.Context, sessionID string) error {
	c := callOf(ec)
	id := c.who.Session.ID
	if sessionID != "current" {
		var err error
		if id, err = parseID(sessionID, "session"); err != nil {
			return err
		}
	}
	if err := s.store.EndSession(c.ctx, c.who.User.ID, id); err != nil {
		return err
	}
	s.poller.Revoke(c.who.User.ID, id) // which tells auth too
	if c.cookie && id == c.who.Session.ID {
		s.setCookie(c, "")
	}
	return s.noContent(c)
}

// CreateTicket makes a ticket of the caller's session.
func (s *Server) CreateTicket(ec echo.Context) error {
	c := callOf(ec)
	var body NewTicket
	if err := s.bind(c, &body); err != nil {
		return err
	}
	text, expires := s.auth.NewTicket(&c.who)
	return s.answer(c, http.StatusCreated, Ticket{Ticket: text, ExpiresAt: expires})
}

func (c *call) sessionView(session store.Session) Session {
	return Session{
		Id:         session.ID.String(),
		DeviceName: session.DeviceName,
		CreatedAt:  session.CreatedAt.Time(),
		LastSeenAt: session.LastSeenAt.Time(),
		Current:    session.ID == c.who.Session.ID,
	}
}
