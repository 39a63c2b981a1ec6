package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"holdline/store"
)

// Scope is what a credential may be used for.
type Scope uint8

// The scopes there are.
const (
	ScopeRead    Scope = 1 << iota
	ScopeDeliver       // move one's own `delivered`, by a cursor that comes back
	ScopeWrite         // everything else
)

// Identity is who is asking.
type Identity struct {
	User      store.User
	Session   store.Session
	Scopes    Scope
	ExpiresAt time.Time // when the credential ends by itself; zero: it does not
}

// Actor is the identity as the store takes it.
func (i *Identity) Actor() store.Actor {
	return store.Actor{UserID: i.User.ID, SessionID: i.Session.ID}
}

// Errors of an Authenticator. All are code `unauthorized`; the ended ones are
// told apart because a stream reports them inside a 200.
var (
	errNoCredentials = store.Errorf(store.CodeUnauthorized, "This call needs a token: sign in with POST /v1/sessions and send `Authorization: Bearer <token>`.")
	errBadScheme     = store.Errorf(store.CodeUnauthorized, "The Authorization header must be `Bearer <token>`.")
	errBadToken      = store.Errorf(store.CodeUnauthorized, "This token is not valid (any more). Sign in again.")
	errBadTicket     = store.Errorf(store.CodeUnauthorized, "This ticket is not valid. Get one from POST /v1/tickets.")
	errNoTicketHere  = store.Errorf(store.CodeUnauthorized, "A ticket is for reading; this call needs a token.")
	errTicketExpired = store.Errorf(store.CodeUnauthorized, "This ticket has expired. Get a new one from POST /v1/tickets.")
	errSessionEnded  = store.Errorf(store.CodeUnauthorized, "This session has ended. Sign in again.")
)

// hasEnded reports whether err says that a credential which was good has ended.
func hasEnded(err error) bool {
	return errors.Is(err, errTicketExpired) || errors.Is(err, errSessionEnded)
}

const (
	tokenPrefix  = "hl_"
	secretLength = 43 // 32 bytes, base64url without padding
	tokenLength  = len(tokenPrefix) + 11 + 1 + secretLength
)

// newToken makes a token of a user and the hash of its secret, which is all
// that is stored.
func newToken(user store.ID) (token string, hash []byte) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	sum := sha256.Sum256([]byte(secret))
	return tokenPrefix + user.String() + "_" + secret, sum[:]
}

// parseToken splits a token; ok is false for what newToken cannot return.
func parseToken(token string) (user store.ID, hash [sha256.Size]byte, ok bool) {
	if len(token) != tokenLength || token[:3] != tokenPrefix || token[14] != '_' {
		return 0, hash, false
	}
	user, ok = store.ParseID(token[3:14])
	return user, sha256.Sum256([]byte(token[15:])), ok
}

// sessions is what an Authenticator needs of the store.
type sessions interface {
	SessionBySecret(ctx context.Context, user store.ID, secretHash []byte) (store.Session, store.User, error)
	SessionByID(ctx context.Context, user, session store.ID) (store.Session, store.User, error)
	TouchSession(ctx context.Context, user, session store.ID) error
}

// Authenticator finds who is asking from a credential. Live sessions are
// cached for a short time, by hash and never by secret; what is not found is
// not cached, so that a new session works at once.
type Authenticator struct {
	sessions sessions
	tickets  tickets
	cache    *sessionCache
	logger   *slog.Logger
	now      func() time.Time
}

func newAuthenticator(s sessions, macKey []byte, ticketAge time.Duration, logger *slog.Logger) *Authenticator {
	return &Authenticator{
		sessions: s,
		tickets:  tickets{key: macKey, age: ticketAge},
		cache:    newSessionCache(maxCachedSessions, sessionCacheAge),
		logger:   logger,
		now:      time.Now,
	}
}

// Token finds the owner of a bearer token. CodeUnauthorized.
func (a *Authenticator) Token(ctx context.Context, token string) (Identity, error) {
	user, hash, ok := parseToken(token)
	if !ok {
		return Identity{}, errBadToken
	}
	who, err := a.lookUp(ctx, cacheKey{user: user, hash: hash}, errBadToken,
		func() (store.Session, store.User, error) { return a.sessions.SessionBySecret(ctx, user, hash[:]) })
	who.Scopes = ScopeRead | ScopeDeliver | ScopeWrite
	return who, err
}

// Ticket finds the owner of a ticket. CodeUnauthorized; hasEnded tells whether
// it was good once.
func (a *Authenticator) Ticket(ctx context.Context, text string) (Identity, error) {
	t, ok := a.tickets.parse(text)
	if !ok {
		return Identity{}, errBadTicket
	}
	if !a.now().Before(t.expires) {
		return Identity{}, errTicketExpired
	}
	who, err := a.lookUp(ctx, cacheKey{user: t.user, session: t.session}, errSessionEnded,
		func() (store.Session, store.User, error) { return a.sessions.SessionByID(ctx, t.user, t.session) })
	who.Scopes, who.ExpiresAt = ScopeRead|ScopeDeliver, t.expires
	return who, err
}

// NewTicket makes a ticket of the session that who uses.
func (a *Authenticator) NewTicket(who *Identity) (text string, expires time.Time) {
	return a.tickets.issue(who.User.ID, who.Session.ID, a.now())
}

// Revoked forgets what is cached of a session that has ended; session 0: of
// all of the user's.
func (a *Authenticator) Revoked(user, session store.ID) { a.cache.drop(user, session) }

// lookUp asks the cache, then find; none is the error for "no such session".
func (a *Authenticator) lookUp(ctx context.Context, key cacheKey, none error,
	find func() (store.Session, store.User, error)) (Identity, error) {
	now := a.now()
	if who, ok := a.cache.get(key, now); ok {
		return who, nil
	}
	generation := a.cache.generation()
	session, user, err := find()
	if err != nil {
		if store.CodeOf(err) == store.CodeUnauthorized {
			err = none
		}
		return Identity{}, err
	}
	who := Identity{User: user, Session: session}
	a.cache.put(key, who, now, generation)
	const day = 24 * time.Hour
	if session.LastSeenAt.Time().Truncate(day).Before(now.UTC().Truncate(day)) {
		// Once a day and session. A full disk must not keep anybody from reading.
		if err := a.sessions.TouchSession(ctx, user.ID, session.ID); err != nil {
			a.logger.Debug("noting that a session was seen", "error", err)
		}
	}
	return who, nil
}

// bearer returns the token of the Authorization header; given is false
// without that header. RFC 6750 section 2.1; the scheme's case does not matter.
func bearer(r *http.Request) (token string, given bool, err error) {
	h := r.Header.Get("Authorization")
	if h == "" {
		return "", false, nil
	}
	scheme, token, ok := strings.Cut(h, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", true, errBadScheme
	}
	return strings.TrimSpace(token), true, nil
}
