package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/labstack/echo/v4"

	"holdline"
	"holdline/poller"
	"holdline/store"
)

// Server answers the API. It implements the interface generated from the
// contract, a file for each resource.
type Server struct {
	cfg       Config
	store     *store.Store
	poller    *poller.Poller
	logger    *slog.Logger
	auth      *Authenticator
	proxies   proxies
	signIns   *signInLimits
	signUps   *signUpLimits
	passwords *passwords
	handler   http.Handler
	bareBody  *rule // of a body that holds an access_token at most
	draining  atomic.Bool
	zips      sharedZips

	live // streams and waiting polls
}

var _ ServerInterface = (*Server)(nil)

// New makes a Server. Close ends it; the store and the poller stay open.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	operations, err := loadContract(holdline.OpenAPI)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       cfg,
		store:     cfg.Store,
		poller:    cfg.Poller,
		logger:    cfg.Logger,
		auth:      newAuthenticator(cfg.Store, cfg.Store.MACKey(), cfg.TicketAge, cfg.Logger),
		proxies:   newProxies(cfg.TrustedProxies),
		signIns:   newSignInLimits(),
		signUps:   newSignUpLimits(cfg.SignUpsPerAddress),
		passwords: newPasswords(cmp.Or(cfg.passwordMemory, argonMemory)),
	}
	s.bareBody = operations["createTicket"].body
	if s.handler, err = s.routes(operations); err != nil {
		return nil, err
	}
	s.poller.OnRevoked(s.auth.Revoked)
	s.live.open(s)
	return s, nil
}

// Handler returns what serves HTTP.
func (s *Server) Handler() http.Handler { return s.handler }

// Close drains: readiness is withdrawn, waiting polls are answered, streams
// end and tell when to come back. It returns when everything the server owns
// has ended, or with ctx's error. It may be called more than once.
func (s *Server) Close(ctx context.Context) error {
	s.draining.Store(true)
	return s.live.close(ctx)
}

// routes registers every operation of the contract, each behind its own begin.
func (s *Server) routes(operations map[string]*operation) (http.Handler, error) {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) { s.fail(c, err) }
	e.IPExtractor = func(r *http.Request) string {
		address, _ := s.proxies.client(r)
		return address
	}
	e.Pre(overrideMethod)
	e.Use(s.outermost)
	middlewares := make(map[string][]echo.MiddlewareFunc, len(operations))
	for id, op := range operations {
		middlewares[id] = []echo.MiddlewareFunc{s.begin(op)}
	}
	RegisterHandlersWithOptions(withHead{e}, s, RegisterHandlersOptions{OperationMiddlewares: middlewares})
	s.registerPages(e)
	return e, s.registerDocs(e)
}

// withHead answers HEAD wherever GET is answered with something finite (RFC 9110 section 9.1).
type withHead struct{ *echo.Echo }

func (r withHead) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	if !strings.HasSuffix(path, "/stream") {
		r.HEAD(path, h, m...)
	}
	return r.Echo.GET(path, h, m...)
}

func joinSorted(names []string) string {
	slices.Sort(names)
	return strings.Join(names, ", ")
}
