package harness

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Stream is an open SSE stream, read by a small parser of its own (WHATWG HTML
// 9.2.6, for the frames that the server writes).
type Stream struct {
	resp    *http.Response
	scanner *bufio.Scanner
	retry   string
}

// Frame is one event of a stream.
type Frame struct {
	Event string // its type
	Data  string
	ID    string
}

// Stream opens a conversation's stream behind a cursor ("" for the beginning).
// It ends with ctx.
func (c *Client) Stream(ctx context.Context, conversation, after string) (*Stream, error) {
	if after != "" {
		after = "?after=" + after
	}
	return c.openStream(ctx, conversation, after, "")
}

// Resume is Stream with the cursor where a reconnecting EventSource puts it,
// in the header Last-Event-ID.
func (c *Client) Resume(ctx context.Context, conversation, lastEventID string) (*Stream, error) {
	return c.openStream(ctx, conversation, "", lastEventID)
}

func (c *Client) openStream(ctx context.Context, conversation, query, lastEventID string) (*Stream, error) {
	url := c.URL + "/v1/conversations/" + conversation + "/stream" + query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, fmt.Errorf("stream: status %s", resp.Status)
	}
	s := &Stream{resp: resp, scanner: bufio.NewScanner(resp.Body)}
	s.scanner.Buffer(nil, 1<<20)
	return s, nil
}

// Next waits for the next event. Without one, ok is false: the stream has ended
// (err is nil) or broken.
func (s *Stream) Next() (f Frame, ok bool, err error) {
	var data []string
	for s.scanner.Scan() {
		line := s.scanner.Text()
		if line == "" {
			if len(data) > 0 {
				f.Data = strings.Join(data, "\n")
				return f, true, nil
			}
			f = Frame{}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			f.Event = value
		case "data":
			data = append(data, value)
		case "id":
			f.ID = value
		case "retry":
			s.retry = value
		}
	}
	return Frame{}, false, s.scanner.Err()
}

// Retry is the last `retry:` that the stream has sent, in milliseconds.
func (s *Stream) Retry() string { return s.retry }

// Close leaves the stream.
func (s *Stream) Close() { _ = s.resp.Body.Close() } // nothing was being written
