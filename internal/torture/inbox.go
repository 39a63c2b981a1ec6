package torture

import (
	"bufio"
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"holdline/internal/torture/history"
)

// connectInbox makes one request of a chain that follows an inbox.
func (c *chain) connectInbox(ctx context.Context, leg Leg, node int) error {
	name := c.device.lines[node].node.name
	begin := c.rec.now()
	cursor := c.ask(name, false)
	query, header := url.Values{}, ""
	stream := c.plan.Form == history.InboxStream || c.plan.Form == history.InboxText && c.plan.Stream
	switch {
	case cursor == "":
		query.Set("from", string(c.plan.From))
	case stream && leg.Header:
		header = cursor
	default:
		query.Set("cursor", cursor)
	}
	if stream {
		path := "/v1/inbox/stream?" + query.Encode()
		if c.plan.Form == history.InboxText {
			return c.inboxLines(ctx, leg, node, path, header)
		}
		return c.frames(ctx, leg, node, path, header, func(data []byte) error {
			var s wireSnapshot
			if err := json.Unmarshal(data, &s); err != nil {
				return err
			}
			c.snapshot(&s, begin, name)
			return nil
		})
	}
	for key, values := range pageQuery(leg) {
		query[key] = values
	}
	if c.plan.Form == history.InboxText {
		return c.inboxTextPage(ctx, leg, node, "/v1/inbox?"+query.Encode())
	}
	a, err := c.page(ctx, leg, node, "/v1/inbox?"+query.Encode(), "")
	if a == nil {
		return err
	}
	var in wireInbox
	if err := a.decode(&in); err != nil {
		c.rec.problem("%v: an answer that cannot be read: %v", c, err)
		return errRetry
	}
	if in.Snapshot != nil {
		c.snapshot(in.Snapshot, begin, name)
	}
	for i := range in.Events {
		c.event(in.Events[i].history())
	}
	for i := range in.Receipts {
		c.receipt(in.Receipts[i].history())
	}
	c.reach(in.Cursor)
	return nil
}

// inboxTextPage makes one long-poll of the inbox as lines of text.
func (c *chain) inboxTextPage(ctx context.Context, leg Leg, node int, path string) error {
	a, err := c.page(ctx, leg, node, path, "text/plain")
	if a == nil {
		return err
	}
	events, err := parseLines(string(a.body), true)
	if err != nil {
		c.rec.problem("%v: %v", c, err)
		return errRetry
	}
	for _, e := range events {
		c.event(e)
	}
	c.reach(a.header.Get("Holdline-Cursor"))
	return nil
}

// inboxLines reads the inbox as a stream of lines. A cursor stands behind each
// batch; what comes without one comes again.
func (c *chain) inboxLines(ctx context.Context, leg Leg, node int, path, header string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := c.open(ctx, cancel, leg, node, path, "text/plain", header)
	if body == nil {
		return err
	}
	defer body.close()
	in := bufio.NewReader(body)
	for {
		line, err := readLine(in)
		if err != nil {
			return err
		}
		if cursor, ok := strings.CutPrefix(line, "# cursor: "); ok {
			c.reach(cursor)
			continue
		}
		more, err := c.line(line, true)
		if !more || err != nil {
			return err
		}
	}
}
