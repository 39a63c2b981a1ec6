package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdline/store"
)

const (
	cookieName = "holdline"
	// secureCookieName is the cookie's name over TLS. The prefix keeps browsers that
	// know it from taking the cookie from another host of the domain, or without
	// TLS (RFC 6265bis section 4.1.3.2).
	secureCookieName = "__Host-" + cookieName
	// cookieAge is how long a browser keeps a session: as long as browsers allow
	// (RFC 6265bis section 5.5). Signing out ends it.
	cookieAge = 400 * 24 * time.Hour

	// formTokenHeader is not among the headers that other origins may send (see preflight).
	formTokenHeader = "Holdline-Form-Token"
	// formTokenMAC is the length of a form token: HMAC-SHA256 cut to 128 bits
	// (RFC 2104 section 5).
	formTokenMAC = 16
)

// Refusals of calls with a cookie.
var (
	errCookieElsewhere = &store.Error{Code: store.CodeForbidden, Field: "cookie",
		Message: "A cookie is for pages of this server: Origin, or Referer where there is none, must be the address that Host names. Leave cookie out to get a token."}
	errForeignPage = store.Errorf(store.CodeForbidden, "With a cookie alone this call must come from a page of this server, or bring its form_token.")
	errForeignBody = store.Errorf(store.CodeForbidden, "With a cookie alone a body must be application/json; other types need the form_token.")
	errEarlierPage = store.Errorf(store.CodeUnauthorized, "This page is of an earlier session, perhaps another user's. Load it again, or sign in.")
	errFormToken   = &store.Error{Code: store.CodeForbidden, Field: "form_token", Message: "This form_token is not of your session. Load the page again."}
)

// FormToken makes the token that forms of a session's pages carry. Nothing of it
// is stored: it is bound to the session by a MAC under the database's key.
func (a *Authenticator) FormToken(user, session store.ID) string {
	h := hmac.New(sha256.New, a.tickets.key)
	h.Write([]byte("form 1:"))
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(user)), uint64(session)))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:formTokenMAC])
}

// cookieToken returns the token in the request's cookie; empty without one.
func (s *Server) cookieToken(r *http.Request) string {
	name := cookieName
	if s.overTLS(r) {
		name = secureCookieName
	}
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// authenticateCookie settles who is asking by the cookie. Browsers send it with whatever
// any site's page asks for, so a call that changes something has to prove more:
// see checkForgery.
func (s *Server) authenticateCookie(c *call, token, formToken string) (err error) {
	if c.who, err = s.auth.Token(c.ctx, token); err != nil {
		return err
	}
	c.cookie = true
	if method := c.Request().Method; method == http.MethodGet || method == http.MethodHead {
		// The answer cannot be read across origins: CORS is without credentials. But
		// whoever knows a cursor, as every member of a conversation does, could have a
		// browser hand it back.
		switch err := s.checkForgery(c, ""); {
		case errors.Is(err, errFormToken):
			return errEarlierPage
		case err != nil:
			c.who.Scopes = ScopeRead
		}
		return nil
	}
	return s.checkForgery(c, formToken)
}

// checkForgery refuses a call that a page of another site could have made. A form
// token proves the page by itself. Without one the page must be of this server,
// and the body of a type that other origins cannot send without a preflight.
func (s *Server) checkForgery(c *call, formToken string) error {
	r := c.Request()
	if header := r.Header.Get(formTokenHeader); header != "" {
		formToken = header
	}
	if formToken != "" {
		if !hmac.Equal([]byte(formToken), []byte(s.auth.FormToken(c.who.User.ID, c.who.Session.ID))) {
			return errFormToken
		}
		return nil
	}
	if !s.fromOwnPage(r) {
		return errForeignPage
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || kind != "application/json") {
		return errForeignBody
	}
	return nil
}

// fromOwnPage reports whether a request comes from a page of this server: by its
// Origin, or by its Referer where an old browser sends none (RFC 6454 section 7).
func (s *Server) fromOwnPage(r *http.Request) bool {
	from := r.Header.Values("Origin")
	if len(from) == 0 {
		from = r.Header.Values("Referer")
	}
	if len(from) != 1 {
		return false
	}
	page, err := url.Parse(from[0])
	if err != nil || page.Host == "" || page.User != nil {
		return false
	}
	// Behind a proxy that is not trusted the page may have come over TLS, unknown to us.
	if page.Scheme != "https" && (page.Scheme != "http" || s.overTLS(r)) {
		return false
	}
	port := map[string]string{"http": ":80", "https": ":443"}[page.Scheme]
	return strings.EqualFold(strings.TrimSuffix(page.Host, port), strings.TrimSuffix(r.Host, port))
}

// overTLS reports whether the client's side of a request is TLS, by its
// connection or by what trusted proxies say.
func (s *Server) overTLS(r *http.Request) bool { return r.TLS != nil || s.proxies.overTLS(r) }

// setCookie gives the browser a session, or takes it away when token is empty.
func (s *Server) setCookie(c *call, token string) {
	cookie := http.Cookie{ //nolint:gosec // Secure where there is TLS; a server on loopback has none
		Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		// Both: Internet Explorer knows no Max-Age, and clocks of devices can be wrong.
		MaxAge: int(cookieAge / time.Second), Expires: s.auth.now().Add(cookieAge),
	}
	if s.overTLS(c.Request()) {
		cookie.Name, cookie.Secure = secureCookieName, true
	}
	if token == "" {
		cookie.MaxAge, cookie.Expires = -1, time.Unix(1, 0)
	}
	http.SetCookie(c.Response(), &cookie)
}
