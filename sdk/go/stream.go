package holdline

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

// stream is one connection that brings server-sent events, read by the client of r3labs/sse in a goroutine of its
// own. That client makes one attempt; when and where to go on is decided above it.
type stream struct {
	frames chan *sse.Event // closed at the end
	err    error           // why it ended, once frames is closed; nil for an orderly end
	cancel context.CancelFunc
}

// openStream begins to read the stream at path behind a cursor, which may be empty.
func (c *Client) openStream(ctx context.Context, path string, query url.Values, cursor string, idle time.Duration) *stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{frames: make(chan *sse.Event), cancel: cancel}
	address := c.server + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	client := sse.NewClient(address, sse.ClientMaxBufferSize(maxAnswer+1))
	client.Connection = &http.Client{
		Transport: &streamTransport{base: c.http.Transport, idle: idle}, Jar: c.http.Jar, CheckRedirect: c.http.CheckRedirect,
	}
	// Bytes that are packed are harder to see coming; frames are small.
	client.Headers["Accept-Encoding"] = "identity"
	if c.token != "" {
		client.Headers["Authorization"] = "Bearer " + c.token
	}
	if cursor != "" {
		client.LastEventID.Store([]byte(cursor))
	}
	client.ReconnectStrategy = backoff.WithContext(&backoff.StopBackOff{}, ctx)
	client.ResponseValidator = validateStream
	go func() {
		defer close(s.frames)
		s.err = client.SubscribeRawWithContext(ctx, func(m *sse.Event) {
			select {
			case s.frames <- m:
			case <-ctx.Done():
			}
		})
	}()
	return s
}

// close ends the connection and waits for its goroutine.
func (s *stream) close() {
	s.cancel()
	for range s.frames { // until it is closed
	}
}

// refusalError is an answer in place of a stream.
type refusalError struct{ answer answer }

func (e *refusalError) Error() string { return e.answer.failure().Error() }
func (e *refusalError) Unwrap() error { return e.answer.failure() }

// validateStream lets only an event stream pass; the client itself would read
// a page of HTML as one.
func validateStream(_ *sse.Client, resp *http.Response) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // no type is a wrong one
	if resp.StatusCode == http.StatusOK && kind == "text/event-stream" {
		return nil
	}
	a, err := readAnswer(resp)
	if err != nil {
		return backoff.Permanent(err)
	}
	return backoff.Permanent(&refusalError{answer: a})
}

// streamTransport makes the bodies of streams pass as whole frames.
type streamTransport struct {
	base http.RoundTripper // nil for the default
	idle time.Duration
}

func (t *streamTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = newBody(resp, t.idle)
	return resp, nil
}

// newBody leaves what is no stream as it is.
func newBody(resp *http.Response, idle time.Duration) io.ReadCloser {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // no type is none of a stream
	if kind != "text/event-stream" {
		return resp.Body
	}
	return newWholeFrames(resp.Body, idle)
}

// retryOf is the time that a frame's `retry:` names; 0 for none.
func retryOf(m *sse.Event) time.Duration {
	ms, err := strconv.ParseUint(string(m.Retry), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
