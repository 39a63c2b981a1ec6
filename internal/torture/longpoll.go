package torture

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"holdline/internal/torture/history"
)

// page asks for one finite answer of the chain; nil without an error if it was
// refused.
func (c *chain) page(ctx context.Context, leg Leg, node int, path, accept string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+time.Duration(leg.Wait)*time.Second)
	defer cancel()
	l := c.device.lines[node]
	a, err := c.device.call(ctx, l.client(leg), l.node, http.MethodGet, path, nil, accept)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, c.refused(a)
	}
	c.answered()
	return a, nil
}

// pageQuery is what a long-poll asks with.
func pageQuery(leg Leg) url.Values {
	return url.Values{"wait": {strconv.Itoa(leg.Wait)}, "limit": {strconv.Itoa(leg.Limit)}}
}

// poll makes one long-poll of a conversation.
func (c *chain) poll(ctx context.Context, leg Leg, node int) error {
	name := c.device.lines[node].node.name
	query := pageQuery(leg)
	query.Set("after", c.ask(name, leg.Bare))
	begin := c.rec.now()
	a, err := c.page(ctx, leg, node, "/v1/conversations/"+c.conversation+"/events?"+query.Encode(), "")
	if a == nil {
		return err
	}
	var p wirePage
	if err := a.decode(&p); err != nil {
		c.rec.problem("%v: a page that cannot be read: %v", c, err)
		return errRetry
	}
	for i := range p.Events {
		c.event(p.Events[i].history())
	}
	c.reach(p.Cursor)
	c.rec.operation(history.Operation{
		Kind: history.Head, Client: c.device.name, User: c.device.account.id, Node: name, Begin: begin, End: c.rec.now(),
		Outcome: history.OK, Status: a.status, Conversation: c.conversation, Seq: p.head(),
	})
	return nil
}
