package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
)

// lastingEnds are the codes of event: end and event: reset after which coming
// back is of no use; after others (too many streams) it is.
var lastingEnds = map[string]bool{"not_found": true, "cursor_reset": true, "unauthorized": true, "invalid": true, "forbidden": true}

// stream reads a conversation's server-sent events.
func (c *chain) stream(ctx context.Context, leg Leg, node int) error {
	cursor := c.ask(c.device.lines[node].node.name, leg.Bare)
	path, header := "/v1/conversations/"+c.conversation+"/stream", ""
	if leg.Header {
		header = cursor
	} else {
		path += "?after=" + url.QueryEscape(cursor)
	}
	return c.frames(ctx, leg, node, path, header, nil)
}

// frames reads a stream to its end. snapshot takes that of an inbox.
func (c *chain) frames(ctx context.Context, leg Leg, node int, path, header string, snapshot func(data []byte) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := c.open(ctx, cancel, leg, node, path, "text/event-stream", header)
	if body == nil {
		return err
	}
	defer body.close()
	frames := 0
	readErr := readFrames(body, func(f frame) bool {
		frames++
		more, frameErr := c.frame(f, snapshot)
		if frameErr != nil {
			c.rec.problem("%v: a frame that cannot be read: %v: %q", c, frameErr, f.data)
			err = errRetry
			return false
		}
		return more
	})
	switch {
	case err != nil:
		return err
	case readErr != nil:
		return readErr
	case frames <= 1:
		return errRetry // a server that could not read its log, or went down at once
	}
	return nil
}

// frame takes one frame; more says whether the stream may go on.
func (c *chain) frame(f frame, snapshot func(data []byte) error) (more bool, err error) {
	switch f.event {
	case "heartbeat", "":
	case "reset", "end":
		code := problemCode([]byte(f.data))
		if code == "" {
			return false, fmt.Errorf("an ending without a code")
		}
		if lastingEnds[code] {
			c.end(code)
		}
		return false, nil
	case "snapshot":
		if snapshot == nil {
			return false, fmt.Errorf("a snapshot that nobody asked for")
		}
		if err := snapshot([]byte(f.data)); err != nil {
			return false, err
		}
	case "receipt":
		var r wireReceipt
		if err := json.Unmarshal([]byte(f.data), &r); err != nil {
			return false, err
		}
		c.receipt(r.history())
	default:
		var e wireEvent
		if err := json.Unmarshal([]byte(f.data), &e); err != nil {
			return false, err
		}
		if e.Type != f.event {
			return false, fmt.Errorf("an event of type %q in a frame of type %q", e.Type, f.event)
		}
		c.event(e.history())
	}
	if f.hasID {
		c.reach(f.id)
	}
	return true, nil
}
