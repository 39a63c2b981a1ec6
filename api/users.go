package api

import (
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"holdline/store"
)

// CreateUser signs up. What is refused before the password is hashed costs
// nothing, and is not limited.
func (s *Server) CreateUser(ec echo.Context) error {
	c := callOf(ec)
	if !s.signUpOpen(c.Request()) {
		return store.Errorf(codeSignUpClosed, "Sign-up is closed on this server. Ask its operator for an account.")
	}
	var body NewUser
	if err := s.bind(c, &body); err != nil {
		return err
	}
	if body.Cookie && !s.fromOwnPage(c.Request()) {
		return errCookieElsewhere
	}
	if err := CheckPassword(body.Password); err != nil {
		return err
	}
	if body.DisplayName == "" {
		body.DisplayName = body.Handle
	}
	if err := checkLine("display_name", body.DisplayName); err != nil {
		return err
	}
	notMade, err := s.signUps.attempt(c.RealIP(), s.auth.now())
	if err != nil {
		return err
	}
	hash, err := s.passwords.hash(c.ctx, body.Password)
	if err != nil {
		notMade()
		return err
	}
	user, err := s.store.CreateUser(c.ctx, store.NewUser{
		Handle:       body.Handle,
		DisplayName:  body.DisplayName,
		PasswordHash: hash,
		Role:         store.RoleUser,
	})
	if err != nil {
		return err
	}
	return s.startSession(c, user, hash, "", body.Cookie)
}

// signUpOpen reports whether the sender of r may make an account.
func (s *Server) signUpOpen(r *http.Request) bool {
	switch s.cfg.SignUp {
	case SignUpOpen:
		return true
	case SignUpAuto:
		forwarded := len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0
		return s.cfg.Loopback && !forwarded
	}
	return false
}

// FindUsers looks a handle up.
func (s *Server) FindUsers(ec echo.Context, params FindUsersParams) error {
	c := callOf(ec)
	found := UserList{Users: []User{}}
	user, err := s.store.UserByHandle(c.ctx, params.Handle)
	switch {
	case err == nil:
		found.Users = append(found.Users, userView(user))
	case store.CodeOf(err) != store.CodeNotFound:
		return err
	}
	return s.answer(c, http.StatusOK, found)
}

// GetUser answers one user.
func (s *Server) GetUser(ec echo.Context, userID UserId) error {
	c := callOf(ec)
	id, err := parseID(userID, "user")
	if err != nil {
		return err
	}
	user, err := s.store.UserByID(c.ctx, id)
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusOK, userView(user))
}

// GetMe answers who is asking.
func (s *Server) GetMe(ec echo.Context) error {
	c := callOf(ec)
	return s.answerMe(c, c.who.User)
}

// UpdateMe changes the settings of who is asking.
func (s *Server) UpdateMe(ec echo.Context) error {
	c := callOf(ec)
	var body MePatch
	if err := s.bind(c, &body); err != nil {
		return err
	}
	user, err := s.store.SetReadReceipts(c.ctx, c.actor(), body.ReadReceipts)
	if err != nil {
		return err
	}
	s.auth.Revoked(user.ID, 0) // what is remembered of the user is out of date
	return s.answerMe(c, user)
}

func (s *Server) answerMe(c *call, user store.User) error {
	me := Me{
		User:         userView(user),
		Role:         user.Role,
		ReadReceipts: user.ReadReceipts,
		Session:      c.sessionView(c.who.Session),
	}
	if c.cookie {
		me.FormToken = s.auth.FormToken(user.ID, c.who.Session.ID)
	}
	return s.answer(c, http.StatusOK, me)
}

func userView(u store.User) User {
	return User{Id: u.ID.String(), Handle: u.Handle, DisplayName: u.DisplayName, CreatedAt: u.CreatedAt.Time()}
}

// checkLine refuses control characters in what is shown on one line.
func checkLine(field, v string) error {
	for i, r := range v {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return invalid(field, "%s must not hold control characters or line breaks (character %d).", field, utf8.RuneCountInString(v[:i])+1)
		}
	}
	return nil
}
