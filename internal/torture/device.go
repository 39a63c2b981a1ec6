package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"holdline/internal/torture/history"
)

// callTimeout bounds one call that does not wait; a stopped server makes
// clients give up, of course.
const callTimeout = 12 * time.Second

// account is a user who is signed in.
type account struct {
	id, handle, token string
	hidden            bool // read receipts were off before the run
}

// device is one client: somebody's program on one machine.
type device struct {
	name    string
	account *account
	rec     *recorder
	lines   []line // one for each node

	mu       sync.Mutex
	seen     map[string]int64 // the highest seq that this device has got, by conversation
	messages map[string]int64 // the last message that it has got, which can be replied to
}

// line is a device's way to a node.
type line struct {
	node            *node
	proxied, direct *http.Client
}

func newDevice(name string, a *account, nodes []*node, rec *recorder) *device {
	d := &device{name: name, account: a, rec: rec, seen: map[string]int64{}, messages: map[string]int64{}}
	for _, n := range nodes {
		d.lines = append(d.lines, line{node: n, proxied: httpClient(n.proxy.Addr()), direct: httpClient("")})
	}
	return d
}

// httpClient connects to addr whatever the URL says, unless addr is empty. It
// follows no redirect: the server has none.
func httpClient(addr string) *http.Client {
	dialer := &net.Dialer{Timeout: callTimeout}
	t := &http.Transport{
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Second, DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if addr != "" {
				address = addr
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (d *device) close() {
	for _, l := range d.lines {
		l.proxied.CloseIdleConnections()
		l.direct.CloseIdleConnections()
	}
}

// saw notes that this device has got an event.
func (d *device) saw(e *history.Event) {
	d.rec.events.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[e.Conversation] = max(d.seen[e.Conversation], e.Seq, e.Through)
	if e.Type == "message" {
		d.messages[e.Conversation] = e.Seq
	}
}

// lastMessage is the seq of a message that this device can reply to, 0 for none.
func (d *device) lastMessage(conversation string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.messages[conversation]
}

func (d *device) highest(conversation string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[conversation]
}

// answer is a whole answer.
type answer struct {
	status int
	code   string // of a problem
	header http.Header
	body   []byte
}

func (a *answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// decode reads the JSON of a 2xx.
func (a *answer) decode(v any) error {
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("status %d, body %q: %w", a.status, a.body, err)
	}
	return nil
}

// outcome says what a client knows after an exchange.
func outcome(a *answer, err error) history.Outcome {
	switch {
	case err != nil:
		return history.Unknown
	case a.ok():
		return history.OK
	case a.code == "":
		return history.Unknown // not the server's own words
	case a.status >= 400 && a.status <= 499, a.status == http.StatusInsufficientStorage,
		a.status == http.StatusServiceUnavailable && a.code != "outcome_unknown":
		return history.Refused
	}
	return history.Unknown
}

// request prepares a request of the device's user.
func (d *device) request(ctx context.Context, base, method, path string, body any, accept string) (*http.Request, error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if d.account != nil {
		req.Header.Set("Authorization", "Bearer "+d.account.token)
	}
	return req, nil
}

// call makes one call at a node and reads the answer to its end; an error
// means that there was no whole answer.
func (d *device) call(ctx context.Context, c *http.Client, n *node, method, path string, body any, accept string) (*answer, error) {
	req, err := d.request(ctx, n.base, method, path, body, accept)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return d.read(req, path, resp)
}

// read reads the rest of a finite answer.
func (d *device) read(req *http.Request, path string, resp *http.Response) (*answer, error) {
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, body: b}
	if a.status >= http.StatusBadRequest {
		var p struct{ Code string }
		_ = json.Unmarshal(b, &p) // what is no problem has no code
		a.code = p.Code
	}
	d.rec.look(req.Method, path, a)
	return a, nil
}

// must repeats a call past the proxy until it succeeds or ctx ends: for what a
// run needs before and after the plan.
func (d *device) must(ctx context.Context, method, path string, body, v any) error {
	var last error
	for i := 0; ; i++ {
		l := d.lines[i%len(d.lines)]
		one, cancel := context.WithTimeout(ctx, 2*callTimeout)
		a, err := d.call(one, l.direct, l.node, method, path, body, "")
		cancel()
		switch {
		case err == nil && a.ok():
			if v == nil {
				return nil
			}
			return a.decode(v)
		case err == nil:
			last = fmt.Errorf("%s %s: status %d: %s", method, path, a.status, a.body)
			if a.status < 500 && a.status != http.StatusTooManyRequests {
				return last
			}
		case ctx.Err() == nil || last == nil:
			last = fmt.Errorf("%s %s: %w", method, path, err)
		}
		if !pause(ctx, 200*time.Millisecond) {
			return last
		}
	}
}

// pause waits, or returns false when ctx has ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
