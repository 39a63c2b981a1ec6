package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"holdline/internal/contract"
)

// Password is that of every account made by SignUp.
const Password = "correct horse battery"

// Client calls a server as one user; without a token as nobody. Every exchange
// is held against openapi.yaml. It may be used from any goroutine, but only the test's own may call the methods that fail it.
type Client struct {
	URL    string
	Token  string
	UserID string
	HTTP   *http.Client

	tb testing.TB
}

// Answer is a finished call.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Problem is the body of a failed call (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Event is an entry of a log, in those fields that tests look at.
type Event struct {
	ConversationID string    `json:"conversation_id"`
	Seq            int64     `json:"seq"`
	Type           string    `json:"type"`
	SenderID       string    `json:"sender_id"`
	ClientID       string    `json:"client_id"`
	Text           string    `json:"text"`
	AcceptedAt     time.Time `json:"accepted_at"`
}

// Page is a page of a log.
type Page struct {
	Events  []Event `json:"events"`
	Cursor  string  `json:"cursor"`
	More    bool    `json:"more"`
	LastSeq int64   `json:"last_seq"`
}

// Client returns a client without an account, with connections of its own that
// are closed when the test ends.
func (s *Server) Client() *Client { return NewClient(s.tb, s.URL) }

// NewClient is Client for any address.
func NewClient(tb testing.TB, url string) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	tb.Cleanup(transport.CloseIdleConnections)
	return &Client{URL: url, HTTP: &http.Client{Transport: contract.Transport(tb, transport)}, tb: tb}
}

// At returns a client of the same account for another server, or for the same
// one after it was started again.
func (c *Client) At(s *Server) *Client {
	other := s.Client()
	other.Token, other.UserID = c.Token, c.UserID
	return other
}

// Call sends body as JSON, unless it is nil, and reads the answer. An error
// means that there was no whole answer.
func (c *Client) Call(ctx context.Context, method, path string, body any) (Answer, error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, reader)
	if err != nil {
		return Answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: b}, nil
}

// Decode reads the answer's JSON into v.
func (a Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("status %d, body %q: %w", a.Status, a.Body, err)
	}
	return nil
}

// Problem reads the answer of a failed call; empty for one that succeeded.
func (a Answer) Problem() (p Problem) {
	if a.Status >= http.StatusBadRequest {
		_ = json.Unmarshal(a.Body, &p) // what is not a problem has no code
	}
	return p
}

// Must is Call for what has to succeed with a status; it decodes into v unless that is nil.
func (c *Client) Must(status int, method, path string, body, v any) Answer {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), patience)
	defer cancel()
	a, err := c.Call(ctx, method, path, body)
	if err != nil {
		c.tb.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status != status {
		c.tb.Fatalf("%s %s: status %d instead of %d: %s", method, path, a.Status, status, a.Body)
	}
	if v != nil {
		if err := a.Decode(v); err != nil {
			c.tb.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return a
}

type signedIn struct {
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Token string `json:"token"`
}

// SignUp makes an account, whose password is Password, and returns its client.
func (s *Server) SignUp(handle string) *Client {
	s.tb.Helper()
	c := s.Client()
	var in signedIn
	c.Must(http.StatusCreated, http.MethodPost, "/v1/users", map[string]string{"handle": handle, "password": Password}, &in)
	c.Token, c.UserID = in.Token, in.User.ID
	return c
}

// SignIn starts a session of an account.
func (s *Server) SignIn(handle, password string) *Client {
	s.tb.Helper()
	c := s.Client()
	var in signedIn
	c.Must(http.StatusCreated, http.MethodPost, "/v1/sessions", map[string]string{"handle": handle, "password": password}, &in)
	c.Token, c.UserID = in.Token, in.User.ID
	return c
}

type named struct {
	ID string `json:"id"`
}

// Direct makes, or finds, the direct conversation with somebody and returns its id.
func (c *Client) Direct(handle string) string {
	c.tb.Helper()
	return c.create(map[string]any{"kind": "direct", "members": []string{handle}})
}

// Group makes a group with others and returns its id.
func (c *Client) Group(handles ...string) string {
	c.tb.Helper()
	return c.create(map[string]any{"kind": "group", "members": append([]string{}, handles...)})
}

func (c *Client) create(body map[string]any) string {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), patience)
	defer cancel()
	a, err := c.Call(ctx, http.MethodPost, "/v1/conversations", body)
	if err != nil {
		c.tb.Fatal(err)
	}
	var conversation named
	if a.Status != http.StatusCreated && a.Status != http.StatusOK {
		c.tb.Fatalf("create a conversation: status %d: %s", a.Status, a.Body)
	}
	if err := a.Decode(&conversation); err != nil {
		c.tb.Fatal(err)
	}
	return conversation.ID
}

// Send sends a message. The event is that of a 200 or 201, else empty.
func (c *Client) Send(ctx context.Context, conversation, clientID, text string) (e Event, a Answer, err error) {
	a, err = c.Call(ctx, http.MethodPost, "/v1/conversations/"+conversation+"/messages",
		map[string]string{"client_id": clientID, "text": text})
	if err == nil && a.Status < http.StatusMultipleChoices {
		err = a.Decode(&e)
	}
	return e, a, err
}

// MustSend is Send for what has to be accepted.
func (c *Client) MustSend(conversation, clientID, text string) Event {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), patience)
	defer cancel()
	e, a, err := c.Send(ctx, conversation, clientID, text)
	if err != nil || a.Status != http.StatusCreated {
		c.tb.Fatalf("send: status %d, %v: %s", a.Status, err, a.Body)
	}
	return e
}

// Events reads a page of a log behind a cursor ("" for the beginning), waiting
// up to some seconds for the first event.
func (c *Client) Events(ctx context.Context, conversation, after string, wait int) (Page, Answer, error) {
	path := "/v1/conversations/" + conversation + "/events?limit=1000&wait=" + strconv.Itoa(wait)
	if after != "" {
		path += "&after=" + after
	}
	var page Page
	a, err := c.Call(ctx, http.MethodGet, path, nil)
	if err == nil && a.Status == http.StatusOK {
		err = a.Decode(&page)
	}
	return page, a, err
}

// AllEvents reads a whole log.
func (c *Client) AllEvents(conversation string) []Event {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), patience)
	defer cancel()
	var all []Event
	for after := ""; ; {
		page, a, err := c.Events(ctx, conversation, after, 0)
		if err != nil || a.Status != http.StatusOK {
			c.tb.Fatalf("events after %q: status %d, %v: %s", after, a.Status, err, a.Body)
		}
		all = append(all, page.Events...)
		if after = page.Cursor; !page.More {
			return all
		}
	}
}
