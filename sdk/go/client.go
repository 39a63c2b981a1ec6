package holdline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of one answer, and of one frame of a stream. Pages end at about 1 MiB; only the
// snapshot of an inbox with very many receipts comes near.
const maxAnswer = 64 << 20

// Options say who calls, and how.
type Options struct {
	// Token is the session's token (hl_…); empty for calls that need none.
	Token string
	// HTTP makes the calls; nil for a client of its own with the settings of http.DefaultTransport. Its Timeout
	// must be zero or longer than a long-poll; streams ignore it.
	HTTP *http.Client
}

// Client calls one server as one user. Beside Send, Follow and Acknowledger it has a method for each call of the
// contract: those that end in WithResponse read the answer, the others hand out the *http.Response. It may be used
// from any goroutine.
type Client struct {
	*ClientWithResponses

	server string // ends in a slash
	token  string
	http   *http.Client
}

// New returns a client of the server at an address like https://chat.example.org. It makes no call.
func New(server string, o Options) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("holdline: the server's address: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("holdline: the server's address must be like https://chat.example.org, not %q", server)
	}
	c := &Client{server: strings.TrimSuffix(server, "/") + "/", token: o.Token, http: o.HTTP}
	if c.http == nil {
		c.http = &http.Client{}
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			c.http.Transport = t.Clone()
		}
	}
	c.ClientWithResponses, err = NewClientWithResponses(c.server, WithHTTPClient(c.http), WithRequestEditorFn(c.authorize))
	return c, err
}

// CloseIdleConnections closes the connections that no call uses just now.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

func (c *Client) authorize(_ context.Context, req *http.Request) error {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return nil
}

// answer is one that has come as a whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes a call of our own and reads its answer; an error means that there was no whole one.
func (c *Client) do(req *http.Request) (answer, error) {
	if err := c.authorize(req.Context(), req); err != nil {
		return answer{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(resp)
}

// doWithin is do for a call that is given up after a time, its answer included.
func (c *Client) doWithin(ctx context.Context, limit time.Duration, req *http.Request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.do(req.WithContext(ctx))
}

// unreachable reports whether a call failed before anything of it left this machine.
func unreachable(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

var errTooLong = errors.New("holdline: the answer is longer than any that the server gives")

func readAnswer(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body}, err
}
