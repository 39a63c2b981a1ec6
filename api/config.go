package api

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"holdline/poller"
	"holdline/store"
)

// SignUp says who may make an account.
type SignUp string

// The ways of signing up.
const (
	// SignUpAuto opens sign-up while the server listens on loopback only, and
	// only to requests that no proxy forwarded.
	SignUpAuto   SignUp = "auto"
	SignUpOpen   SignUp = "open"
	SignUpClosed SignUp = "closed"
)

// Defaults and bounds of Config's numbers.
const (
	DefaultBodyLimit      = 256 << 10
	MinBodyLimit          = 128 << 10 // 16 KiB of text written as \u escapes is 96 KiB
	MaxBodyLimit          = 16 << 20
	DefaultBodyTimeout    = 10 * time.Second
	DefaultRequestTimeout = 30 * time.Second
	DefaultWriteTimeout   = 20 * time.Second
	DefaultTicketAge      = 15 * time.Minute
	DefaultHeartbeat      = 15 * time.Second
	DefaultStreamAge      = time.Hour
	DefaultWaitingPerUser = 200
	DefaultSignUps        = 100 // per address
	DefaultIdleTimeout    = 2 * time.Minute

	DefaultPageLimit = 100
	MaxPageLimit     = 1000
	MaxWait          = 50 * time.Second
)

// Config is what a Server needs. Zero numbers mean their defaults.
type Config struct {
	Store  *store.Store
	Poller *poller.Poller
	Logger *slog.Logger // default slog.Default()

	Version string // told by GET /v1/server

	SignUp   SignUp // default SignUpAuto
	Loopback bool   // the server can be reached on loopback addresses only

	Pages []Page // served beside the API

	// TrustedProxies are the address ranges whose X-Forwarded-For is believed.
	// None by default: the address of a client is that of its connection. Their
	// X-Forwarded-Proto is believed too: it says whether a cookie is for TLS only.
	// Where a request came through several, each adds to both at the end.
	TrustedProxies []netip.Prefix

	// AccessLog logs every request at level Info. Otherwise requests are logged
	// at Debug, and failures of the server at Error, always.
	AccessLog bool

	BodyLimit      int64         // bytes of a request body; MinBodyLimit to MaxBodyLimit
	BodyTimeout    time.Duration // from the first look at a body to its end
	RequestTimeout time.Duration // of the database work of a call that does not wait
	WriteTimeout   time.Duration // for the reader to take one answer, or one write of a stream
	TicketAge      time.Duration // how long a ticket lasts
	Heartbeat      time.Duration // of silence on a stream
	StreamAge      time.Duration // after which a stream ends, jittered by a tenth
	WaitingPerUser int           // streams and waiting polls that one user may have at once

	// SignUpsPerAddress is how many sign-ups one address (in IPv6: one /64) may make
	// at once; then CodeRateLimited. They come back evenly, all within an hour.
	SignUpsPerAddress int

	// Returns, if not nil, is where connections go whose polls were answered.
	// Serve it with the http.Server that serves Handler. IdleTimeout is how long
	// they are kept for another request, as that server's own is.
	Returns     *Returns
	IdleTimeout time.Duration

	passwordMemory uint32 // KiB that hashing takes; less in tests, which sign up often
}

// withDefaults fills in what is zero and refuses what is out of bounds.
func (c Config) withDefaults() (Config, error) {
	if c.Store == nil || c.Poller == nil {
		return c, fmt.Errorf("api: Config needs a Store and a Poller")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.SignUp == "" {
		c.SignUp = SignUpAuto
	}
	if c.SignUp != SignUpAuto && c.SignUp != SignUpOpen && c.SignUp != SignUpClosed {
		return c, fmt.Errorf("api: sign-up is %q; it can be auto, open or closed", c.SignUp)
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = DefaultBodyLimit
	}
	if c.BodyLimit < MinBodyLimit || c.BodyLimit > MaxBodyLimit {
		return c, fmt.Errorf("api: the body limit is %d; it can be %d to %d bytes", c.BodyLimit, MinBodyLimit, MaxBodyLimit)
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = DefaultIdleTimeout
	}
	if c.WaitingPerUser == 0 {
		c.WaitingPerUser = DefaultWaitingPerUser
	}
	if c.WaitingPerUser < 0 {
		return c, fmt.Errorf("api: waiting per user is %d; it must be above 0", c.WaitingPerUser)
	}
	if c.SignUpsPerAddress == 0 {
		c.SignUpsPerAddress = DefaultSignUps
	}
	if c.SignUpsPerAddress < 0 {
		return c, fmt.Errorf("api: sign-ups per address are %d; they must be above 0", c.SignUpsPerAddress)
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"body timeout", &c.BodyTimeout, DefaultBodyTimeout},
		{"request timeout", &c.RequestTimeout, DefaultRequestTimeout},
		{"write timeout", &c.WriteTimeout, DefaultWriteTimeout},
		{"ticket age", &c.TicketAge, DefaultTicketAge},
		{"heartbeat", &c.Heartbeat, DefaultHeartbeat},
		{"stream age", &c.StreamAge, DefaultStreamAge},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if *d.value < 0 {
			return c, fmt.Errorf("api: the %s is %v; it must be above 0", d.name, *d.value)
		}
	}
	return c, nil
}
