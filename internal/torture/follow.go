package torture

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"holdline/internal/torture/history"
)

// silence is how long a stream may be without a byte before a client takes it
// for dead. The servers of a run send heartbeats far more often.
const silence = 40 * time.Second

// returnAfter is how long a client whose user was removed waits before it asks
// whether they were added again.
const returnAfter = 2 * time.Second

// live follows the chain by its legs until ctx ends. fork begins another one
// where this one is.
func (c *chain) live(ctx context.Context, fork func(*chain)) {
	if !pause(ctx, c.plan.Delay) {
		return
	}
	for i := 0; ctx.Err() == nil; i++ {
		leg := c.plan.Legs[i%len(c.plan.Legs)]
		if leg.Back > 0 {
			c.back(leg.Back)
		}
		if leg.Fork {
			fork(c)
		}
		c.leg(ctx, leg)
		if ended := c.ending(); ended == notFound && pause(ctx, returnAfter) {
			c.revive()
		} else if ended != "" {
			return
		}
		if !pause(ctx, leg.Gap) {
			return
		}
	}
}

// leg follows the chain for the time of a leg, over as many connections as that takes.
func (c *chain) leg(ctx context.Context, leg Leg) {
	ctx, cancel := context.WithTimeout(ctx, leg.Lasts)
	defer cancel()
	for node := leg.Node; ctx.Err() == nil && c.ending() == ""; node++ {
		before := c.progress()
		if err := c.connect(ctx, leg, node%len(c.device.lines)); err != nil || c.progress() == before {
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// errRetry is an answer by which a client has to come back a little later.
var errRetry = errors.New("not now")

// notFound is the code that ends a chain whose user is no member any more.
const notFound = "not_found"

// connect makes one request of the chain and takes what it gives.
func (c *chain) connect(ctx context.Context, leg Leg, node int) error {
	c.rec.count(string(c.plan.Form))
	if c.plan.Form.Inbox() {
		return c.connectInbox(ctx, leg, node)
	}
	switch {
	case c.plan.Form == history.Stream:
		return c.stream(ctx, leg, node)
	case c.plan.Form == history.Text && c.plan.Stream:
		return c.textStream(ctx, leg, node)
	case c.plan.Form == history.Text:
		return c.textPage(ctx, leg, node)
	}
	return c.poll(ctx, leg, node)
}

// client is the HTTP client for a leg.
func (l line) client(leg Leg) *http.Client {
	if leg.Direct {
		return l.direct
	}
	return l.proxied
}

// refused handles an answer that is none of the chain's: an end, or a reason to
// come back.
func (c *chain) refused(a *answer) error {
	switch {
	case a.code != "" && (a.status == http.StatusNotFound || a.status == http.StatusGone || a.status == http.StatusBadRequest ||
		a.status == http.StatusUnauthorized || a.status == http.StatusForbidden):
		c.answered()
		c.end(a.code)
		return nil
	default:
		return errRetry
	}
}

// open opens a stream, which the caller closes; without one the answer was
// refused. cancel ends its context, if nothing comes for too long.
func (c *chain) open(ctx context.Context, cancel context.CancelFunc, leg Leg, node int, path, accept, lastEventID string) (*watched, error) {
	l := c.device.lines[node]
	req, err := c.device.request(ctx, l.node.base, http.MethodGet, path, nil, accept)
	if err != nil {
		return nil, err
	}
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := l.client(leg).Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		c.answered()
		return &watched{body: resp.Body, timer: time.AfterFunc(silence, cancel)}, nil
	}
	defer resp.Body.Close()
	a, err := c.device.read(req, path, resp)
	if err != nil {
		return nil, err
	}
	return nil, c.refused(a)
}

// watched reads a body, and gives up when nothing comes for too long.
type watched struct {
	body  io.ReadCloser
	timer *time.Timer
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.body.Read(b)
	w.timer.Reset(silence)
	return n, err
}

func (w *watched) close() {
	w.timer.Stop()
	_ = w.body.Close() // it was only read
}
