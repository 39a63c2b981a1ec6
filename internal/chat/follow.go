package chat

import (
	"context"
	"errors"
	"slices"
	"time"

	holdline "holdline/sdk/go"
)

// follow reads the inbox, over one connection for all conversations.
func (c *Client) follow() {
	o := holdline.FollowOptions{
		Pace: pace, AckDelivered: true,
		OnState: func(s holdline.State) { c.post(func() { c.last = s; c.face.state(s) }) },
	}
	if c.o.LongPoll {
		o.Transport = holdline.LongPoll
	}
	for u, err := range c.api.Follow(c.ctx, o) {
		if err != nil {
			c.post(func() {
				if !c.ended(err) {
					c.end(errors.New(Explain(err)))
				}
			})
			return
		}
		if !c.take(&u) {
			return
		}
	}
}

// take deals with one update; false once the client ends. Names are asked for here, so that nothing is shown without.
func (c *Client) take(u *holdline.Update) bool {
	switch u.Kind {
	case holdline.KindSnapshot:
		return c.takeSnapshot(u.Snapshot)
	case holdline.KindReset:
		return c.post(func() {
			c.face.say("The server was restored from a backup; what is shown begins anew.")
			clear(c.conversations)
			clear(c.accepted) // none of it will come any more
		})
	case holdline.KindEvent:
		e := u.Event
		c.names.find(c.ctx, append([]string{e.SenderId, e.UserId}, first(e.Members, maxNamed)...)...)
		return c.post(func() { c.event(&e) })
	case holdline.KindReceipt:
		r := u.Receipt
		return c.post(func() { c.receipt(&r) })
	case holdline.KindMissing:
		id, to := u.ConversationID, u.To
		return c.post(func() { c.missing(id, to) })
	}
	return true
}

// maxNamed bounds how many names of a group's members are asked for one by one.
const maxNamed = 20

func first[T any](s []T, n int) []T { return s[:min(n, len(s))] }

// takeSnapshot begins with how things are. The list may go on behind other pages.
func (c *Client) takeSnapshot(s *holdline.InboxSnapshot) bool {
	all := s.Conversations
	for more, next := s.More, s.Next; more; {
		page, err := read[holdline.ConversationList](c.api.ListConversations(c.ctx, &holdline.ListConversationsParams{After: &next}))
		if err != nil {
			c.post(func() { c.face.say("Only the first conversations could be listed: " + Explain(err)) })
			break // the others show when something comes in them
		}
		all = append(all, page.Conversations...)
		more, next = page.More, page.Next
	}
	// Who is at the other end of a direct conversation is in no list. The latest are asked for before anything is shown.
	slices.SortFunc(all, func(a, b holdline.Conversation) int { return lastAt(&b).Compare(lastAt(&a)) })
	untitled := slices.DeleteFunc(slices.Clone(all), func(v holdline.Conversation) bool { return v.Title != "" })
	now := min(len(untitled), maxNamed)
	members := map[string][]string{}
	for i := range untitled[:now] {
		members[untitled[i].Id], _ = c.membersOf(c.ctx, untitled[i].Id, 1) // without it is shown by its id
	}
	for i := range first(all, maxNamed) {
		c.names.find(c.ctx, all[i].LastMessage.SenderId)
	}
	if !c.post(func() { c.begin(all, s.Receipts, members) }) {
		return false
	}
	c.work.Go(func() {
		c.findMembers(untitled[now:])
		for i := range all {
			c.names.find(c.ctx, all[i].LastMessage.SenderId)
		}
		c.post(func() { c.face.state(c.last) })
	})
	return true
}

func lastAt(v *holdline.Conversation) time.Time {
	if v.LastMessage.AcceptedAt.IsZero() {
		return v.CreatedAt
	}
	return v.LastMessage.AcceptedAt
}

// findMembers asks for the members of conversations, one after the other.
func (c *Client) findMembers(all []holdline.Conversation) {
	for i := range all {
		id := all[i].Id
		members, err := c.membersOf(c.ctx, id, 1)
		if c.ctx.Err() != nil {
			return
		}
		if err != nil {
			continue
		}
		c.post(func() {
			if v := c.conversations[id]; v != nil {
				v.members = members
				c.face.state(c.last)
			}
		})
	}
}

// membersOf reads up to a number of pages of a conversation's members, whose names are known then.
func (c *Client) membersOf(ctx context.Context, conversation string, pages int) ([]string, error) {
	var ids []string
	params := &holdline.ListMembersParams{}
	for range pages {
		page, err := read[holdline.MemberList](c.api.ListMembers(ctx, conversation, params))
		if err != nil {
			return nil, err
		}
		for i := range page.Members {
			c.names.learn(page.Members[i].User)
			ids = append(ids, page.Members[i].User.Id)
		}
		if !page.More {
			break
		}
		params.After = &page.Next
	}
	return ids, nil
}

// begin takes the conversations as they are. What is open stays open, and is loaded anew.
func (c *Client) begin(all []holdline.Conversation, receipts []holdline.InboxReceipt, members map[string][]string) {
	clear(c.conversations)
	for i := range all {
		v := newConversation(&all[i])
		v.members = members[v.ID]
		c.conversations[v.ID] = v
	}
	for i := range receipts {
		if v := c.conversations[receipts[i].ConversationId]; v != nil && receipts[i].UserId != c.me() {
			v.note(receipts[i].UserId, marks{receipts[i].DeliveredSeq, receipts[i].ReadSeq})
		}
	}
	first := !c.ready
	c.ready = true
	if open := c.open; open != nil {
		c.open = nil
		if v := c.conversations[open.ID]; v != nil {
			c.openConversation(v)
		}
	}
	if first {
		c.face.list()
	}
	c.face.state(c.last)
}

// event takes an entry of a conversation's log.
func (c *Client) event(e *holdline.Event) {
	v := c.conversations[e.ConversationId]
	if v == nil {
		v = &Conversation{ID: e.ConversationId, marks: map[string]marks{}}
		c.conversations[v.ID] = v
		if e.Type != "created" {
			c.lookAt(v)
		}
	}
	v.LastSeq = max(v.LastSeq, e.Seq, e.ThroughSeq)
	switch e.Type {
	case "created":
		v.Kind, v.Title, v.members, v.LastAt = e.Kind, e.Title, e.Members, e.AcceptedAt
		v.loaded = true // there is nothing before
		if e.SenderId != c.me() {
			c.face.say(c.names.of(e.SenderId) + " began a conversation: " + c.name(v))
		}
	case "message":
		c.message(v, e)
	case "member":
		c.member(v, e)
	case "title":
		v.Title = e.Title
		c.face.say(c.names.of(e.SenderId) + " named the conversation: " + c.name(v))
	}
}

func messageOf(e *holdline.Event) Message {
	return Message{Seq: e.Seq, SenderID: e.SenderId, ClientID: e.ClientId, Text: e.Text, At: e.AcceptedAt.Local()}
}

func (c *Client) message(v *Conversation, e *holdline.Event) {
	m := messageOf(e)
	v.LastText, v.LastFrom, v.LastAt = m.Text, m.SenderID, m.At
	if m.SenderID != c.me() && m.Seq > v.ReadSeq {
		v.Unread++
	}
	if v.loaded || v.loading {
		v.insert(m)
	}
	if !v.loading {
		c.face.message(v, m)
	}
}

func (c *Client) member(v *Conversation, e *holdline.Event) {
	who := c.names.of(e.UserId)
	switch e.Action {
	case "added":
		v.Ended = v.Ended && e.UserId != c.me()
		if len(v.members) > 0 && !slices.Contains(v.members, e.UserId) {
			v.members = append(v.members, e.UserId)
		}
		c.face.say(who + " was added to " + c.name(v))
	case "removed", "left":
		v.members = without(v.members, e.UserId)
		verb := map[string]string{"removed": " was removed from ", "left": " left "}[e.Action]
		c.face.say(who + verb + c.name(v))
		if e.UserId == c.me() {
			v.Ended = true
		}
	}
}

func without(ids []string, id string) []string {
	kept := make([]string, 0, len(ids))
	for _, other := range ids {
		if other != id {
			kept = append(kept, other)
		}
	}
	return kept
}

// receipt takes how far somebody has got. The user's own tell what was read on another device.
func (c *Client) receipt(r *holdline.InboxReceipt) {
	v := c.conversations[r.ConversationId]
	if v == nil {
		return
	}
	if r.UserId != c.me() {
		old := v.marks[r.UserId]
		if v.note(r.UserId, marks{r.DeliveredSeq, r.ReadSeq}) {
			c.face.receipt(v, r.UserId, old, v.marks[r.UserId])
		}
		return
	}
	if r.ReadSeq <= v.ReadSeq {
		return
	}
	if v.ReadSeq = r.ReadSeq; v.ReadSeq >= v.LastSeq {
		v.Unread = 0
		return
	}
	c.lookAt(v)
}

// lookAt asks the server what a conversation is, aside.
func (c *Client) lookAt(v *Conversation) {
	c.job(func(ctx context.Context) func() {
		now, err := read[holdline.Conversation](c.api.GetConversation(ctx, v.ID))
		members, membersErr := c.membersOf(ctx, v.ID, 1)
		return func() {
			if err != nil || membersErr != nil {
				return // it is shown by its id, until it is opened
			}
			v.Kind, v.Title, v.members = now.Kind, now.Title, members
			if v != c.open && now.LastSeq >= v.LastSeq {
				v.Unread, v.ReadSeq = now.Unread, max(v.ReadSeq, now.ReadSeq)
			}
			c.face.state(c.last)
		}
	})
}

// missing begins a conversation anew behind what cannot be had.
func (c *Client) missing(id string, to int64) {
	v := c.conversations[id]
	if v == nil {
		return
	}
	v.LastSeq = max(v.LastSeq, to)
	v.messages, v.loaded = nil, false
	c.face.say("Some messages of " + c.name(v) + " cannot be read any more.")
	if v == c.open {
		c.openConversation(v)
	}
}
