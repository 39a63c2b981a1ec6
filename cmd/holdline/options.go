package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"holdline/api"
	"holdline/poller"
	"holdline/store"
)

type httpFlags struct {
	Listen            string         `setting:"" group:"http" default:"127.0.0.1:8080" help:"Address and port to listen at; :8080 is all addresses, port 0 takes a free one."`
	TrustedProxies    []addressRange `setting:"" group:"http" placeholder:"RANGE" help:"Addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, like 10.0.0.0/8, separated by commas. Each must set or add to both, and nobody else may send from these addresses. None by default."`
	ReadHeaderTimeout time.Duration  `setting:"" group:"http" default:"10s" min:"100ms" max:"5m" help:"How long a client may take to send a request's headers."`
	BodyTimeout       time.Duration  `setting:"" group:"http" default:"10s" min:"100ms" max:"10m" help:"How long a client may take to send a request's body; then 408."`
	RequestTimeout    time.Duration  `setting:"" group:"http" default:"30s" min:"100ms" max:"10m" help:"How long a call that does not wait may take in the database; then 503."`
	WriteTimeout      time.Duration  `setting:"" group:"http" default:"20s" min:"100ms" max:"10m" help:"How long a reader may take to accept an answer, or one write of a stream, before it is cut off."`
	IdleTimeout       time.Duration  `setting:"" group:"http" default:"2m" min:"1s" max:"1h" help:"How long a kept connection may be idle between two requests."`
}

type accountFlags struct {
	Signup    string        `setting:"" group:"accounts" default:"auto" enum:"auto,open,closed" help:"Who may make an account: auto (anybody while --listen is a loopback address, except through a proxy), open (anybody) or closed (only holdline user add)."`
	TicketTTL time.Duration `name:"ticket-ttl" setting:"" group:"accounts" default:"15m" min:"1s" max:"24h" help:"How long a ticket lasts, the credential for clients that cannot send headers."`
}

type deliveryFlags struct {
	Heartbeat time.Duration `setting:"" group:"delivery" default:"15s" min:"100ms" max:"5m" help:"How long a stream may be silent before it gets a heartbeat."`
	StreamAge time.Duration `setting:"" group:"delivery" default:"1h" min:"1s" max:"24h" help:"After about how long, give or take a tenth, a stream ends and its client comes back."`
	Sweep     time.Duration `setting:"" group:"delivery" default:"1s" min:"10ms" max:"1m" help:"How often the database is asked what other servers wrote: the most that a lost hint costs, and how soon a session ended elsewhere ends here."`
	Hints     string        `setting:"" group:"delivery" default:"postgres" enum:"postgres,off" help:"How servers on one PostgreSQL database tell each other of new messages: postgres (LISTEN and NOTIFY, so --database must not lead through a pooler in transaction mode) or off (they find out by the sweep). Of no effect on SQLite."`
}

type limitFlags struct {
	BodyLimit          byteSize `setting:"" group:"limits" default:"256KiB" min:"128KiB" max:"16MiB" help:"Largest request body; then 413."`
	MaxHeaderBytes     byteSize `setting:"" group:"limits" default:"16KiB" min:"4KiB" max:"1MiB" help:"Largest request headers; then 431."`
	MaxQueued          int      `setting:"" group:"limits" default:"8192" min:"1" max:"1000000" help:"How many sends may wait for the database; then 503 (overloaded)."`
	MaxQueuedPerSender int      `setting:"" group:"limits" default:"256" min:"1" max:"1000000" help:"How many of them one user may have."`
	MaxWaitingPerUser  int      `setting:"" group:"limits" default:"200" min:"1" max:"1000000" help:"How many streams and waiting polls one user may have open; then 429, or on a stream event: end."`

	MaxSignupsPerAddress int `setting:"" group:"limits" default:"100" min:"1" max:"1000000" help:"How many sign-ups one address, in IPv6 one /64, may make at once; then 429. They come back one by one, all within an hour. Behind a reverse proxy name it in --trusted-proxies, or all clients are one address."`
}

func (s *serveCmd) storeOptions(log *slog.Logger) store.Options {
	return store.Options{Logger: log, Clock: s.clock, MaxQueued: s.MaxQueued, MaxQueuedPerSender: s.MaxQueuedPerSender}
}

func (s *serveCmd) pollerOptions(log *slog.Logger, hints *poller.PostgresHints) poller.Options {
	o := poller.Options{Logger: log, SweepInterval: s.Sweep}
	if hints != nil { // a nil pointer in the interface would not be nil
		o.Hints = hints
	}
	return o
}

// hints returns what carries hints to other servers; nil where there are none.
func (s *serveCmd) hints(log *slog.Logger) (*poller.PostgresHints, error) {
	if _, isSQLite := s.sqlitePath(); isSQLite || s.Hints == "off" {
		return nil, nil
	}
	return poller.NewPostgresHints(s.Database, log)
}

func (s *serveCmd) apiConfig(log *slog.Logger, address net.Addr) api.Config {
	c := api.Config{
		Logger:            log,
		Version:           versionText(),
		SignUp:            api.SignUp(s.Signup),
		Loopback:          isLoopback(address),
		AccessLog:         s.AccessLog,
		BodyLimit:         int64(s.BodyLimit),
		BodyTimeout:       s.BodyTimeout,
		RequestTimeout:    s.RequestTimeout,
		WriteTimeout:      s.WriteTimeout,
		TicketAge:         s.TicketTTL,
		Heartbeat:         s.Heartbeat,
		StreamAge:         s.StreamAge,
		WaitingPerUser:    s.MaxWaitingPerUser,
		SignUpsPerAddress: s.MaxSignupsPerAddress,
		IdleTimeout:       s.IdleTimeout,
		Returns:           api.NewReturns(address),
		Pages:             pages(),
	}
	for _, r := range s.TrustedProxies {
		c.TrustedProxies = append(c.TrustedProxies, r.Prefix)
	}
	return c
}

// httpServer has no WriteTimeout, which would bound a whole answer and so cut
// streams and polls: the api sets a deadline for each write, and for each body.
func (s *serveCmd) httpServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.ReadHeaderTimeout,
		IdleTimeout:       s.IdleTimeout,
		MaxHeaderBytes:    int(s.MaxHeaderBytes),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// addressRange is one address, or a range of them in CIDR form.
type addressRange struct{ netip.Prefix }

// UnmarshalText reads "10.1.2.3", "10.0.0.0/8" and the like of IPv6.
func (r *addressRange) UnmarshalText(text []byte) error {
	if p, err := netip.ParsePrefix(string(text)); err == nil {
		r.Prefix = p.Masked()
		return nil
	}
	address, err := netip.ParseAddr(string(text))
	if err != nil {
		return fmt.Errorf("%q is neither an address nor a range like 10.0.0.0/8", text)
	}
	r.Prefix = netip.PrefixFrom(address, address.BitLen())
	return nil
}
