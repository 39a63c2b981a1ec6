package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"holdline/store"
)

// readyTimeout is how long the database may take to answer the readiness probe.
const readyTimeout = 2 * time.Second

// GetHealth answers that the process is up.
func (s *Server) GetHealth(c echo.Context) error {
	return s.answer(c, http.StatusOK, Health{Status: "ok"})
}

// GetReadiness answers whether requests should come here.
func (s *Server) GetReadiness(ec echo.Context) error {
	c := callOf(ec)
	if s.draining.Load() {
		return store.Errorf(codeShuttingDown, "The server is shutting down.")
	}
	ctx, cancel := context.WithTimeout(c.ctx, readyTimeout)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		return &store.Error{Code: store.CodeUnavailable, Message: "The database does not answer.", Err: err}
	}
	return s.answer(c, http.StatusOK, Health{Status: "ok"})
}

// GetServer answers what this server is and what it allows.
func (s *Server) GetServer(c echo.Context) error {
	signUp := SignUpClosed
	if s.signUpOpen(c.Request()) {
		signUp = SignUpOpen
	}
	return s.answer(c, http.StatusOK, ServerInfo{
		Name:    "holdline",
		Version: s.cfg.Version,
		Epoch:   s.store.Epoch(),
		SignUp:  string(signUp),
		Limits: Limits{
			TextBytes:        store.MaxTextBytes,
			BodyBytes:        s.cfg.BodyLimit,
			ClientIdChars:    store.MaxClientIDChars,
			TitleChars:       store.MaxTitleChars,
			MembersAtOnce:    store.MaxMembersAtOnce,
			PageLimit:        MaxPageLimit,
			WaitSeconds:      int64(MaxWait / time.Second),
			HeartbeatSeconds: wholeSeconds(s.cfg.Heartbeat),
			TicketSeconds:    wholeSeconds(s.cfg.TicketAge),
			StreamSeconds:    wholeSeconds(s.cfg.StreamAge),
			ReceiptMembers:   store.MaxReceiptMembers,
		},
	})
}

// wholeSeconds rounds up, so that a client which waits that long waits enough.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
