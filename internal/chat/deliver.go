package chat

import (
	"errors"

	holdline "holdline/sdk/go"
)

// deliver sends what is in the outbox, one after the other, each until the answer is certain.
func (c *Client) deliver() {
	for {
		e, ok := c.outbox.first()
		if !ok {
			select {
			case <-c.outbox.added:
				continue
			case <-c.ctx.Done():
				return
			}
		}
		event, err := c.api.Send(c.ctx, e.Conversation, e.Text, holdline.SendOptions{ClientID: e.ClientID, Pace: pace})
		if c.ctx.Err() != nil && err != nil {
			return // it stays, for the next time
		}
		if status(err) == 401 {
			c.post(func() { c.ended(err) })
			return
		}
		// On disk first: what is shown as sent must not wait any more after a crash. Should that fail, it is sent again,
		// which makes no second message.
		kept := c.outbox.Done(e.ClientID)
		if !c.post(func() { c.answered(e, event, errors.Join(err, kept)) }) {
			return
		}
	}
}

// answered takes what the server said to a message.
func (c *Client) answered(e Entry, event holdline.Event, err error) {
	if event.Seq > 0 {
		c.accepted[e.Conversation] = max(c.accepted[e.Conversation], event.Seq)
		if v := c.conversations[e.Conversation]; v != nil && v.loaded {
			v.insert(messageOf(&event))
		}
	}
	if err == nil {
		return
	}
	var unconfirmed *holdline.UnconfirmedError
	if errors.As(err, &unconfirmed) && unconfirmed.MaybeStored || e.earlier && hides(err) {
		c.unsent.Uncertain++
		c.face.say("It is not known whether this was sent, since you may not look any more: "+Escape(e.Text), Explain(err))
		return
	}
	if event.Seq == 0 {
		c.unsent.Refused++
		c.face.say("Not sent: "+Escape(e.Text), Explain(err))
		return
	}
	c.face.say("The outbox cannot be written: " + Explain(err))
}
