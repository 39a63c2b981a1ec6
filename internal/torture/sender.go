package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdline/internal/torture/history"
)

// workers is how many acts one device carries out at a time.
const workers = 4

// act carries out the plan's acts, each device its own, in their order as far
// as their number of workers lets them. It returns when all are done. Once soft has
// ended, what is left is dropped; what has begun goes on until its outcome is certain,
// or ctx ends.
func (r *run) act(ctx, soft context.Context) {
	var group sync.WaitGroup
	queues := make([]chan Act, len(r.devices))
	for i, d := range r.devices {
		queues[i] = make(chan Act, len(r.plan.Acts))
		for range workers {
			group.Go(func() {
				for a := range queues[i] {
					if soft.Err() != nil {
						r.rec.count(dropped)
						continue
					}
					r.do(ctx, d, a)
					r.rec.count(string(a.Verb))
				}
			})
		}
	}
	for _, a := range r.plan.Acts {
		if !pause(soft, time.Until(r.begun.Add(a.At))) {
			break
		}
		queues[a.Client] <- a
	}
	for _, q := range queues {
		close(q)
	}
	group.Wait()
}

func (r *run) do(ctx context.Context, d *device, a Act) {
	t := r.talks[a.Conversation]
	id, last := t.known()
	if a.Verb == Create {
		r.create(ctx, d, a)
		return
	}
	if a.Verb == List {
		r.listed(ctx, d, a)
		return
	}
	if a.Verb == Privacy {
		r.hideReading(d.account.id)
		body := map[string]bool{"read_receipts": a.Read}
		r.repeat(ctx, d, a, history.Operation{}, http.MethodPatch, "/v1/me", body, nil)
		return
	}
	if id == "" {
		return // nobody has created it yet
	}
	path := "/v1/conversations/" + id
	switch a.Verb {
	case Send, Replay, Twice:
		r.send(ctx, d, a, t, id)
	case Add:
		var handles, ids []string
		for _, u := range a.Users {
			handles, ids = append(handles, r.accounts[u].handle), append(ids, r.accounts[u].id)
		}
		o := history.Operation{Kind: history.Add, Conversation: id, Members: ids}
		r.repeat(ctx, d, a, o, http.MethodPost, path+"/members", map[string]any{"members": handles}, eventsOf)
	case Remove:
		user := r.accounts[a.Users[0]].id
		o := history.Operation{Kind: history.Remove, Conversation: id, Members: []string{user}}
		r.repeat(ctx, d, a, o, http.MethodDelete, path+"/members/"+user, nil, eventsOf)
	case Leave:
		o := history.Operation{Kind: history.Leave, Conversation: id, Members: []string{d.account.id}}
		r.repeat(ctx, d, a, o, http.MethodDelete, path+"/members/me", nil, eventsOf)
	case Title:
		title := fmt.Sprintf("Title %d", a.Number)
		o := history.Operation{Kind: history.Title, Conversation: id, Text: title}
		r.repeat(ctx, d, a, o, http.MethodPatch, path, map[string]string{"title": title}, nil)
	case Ack, Beyond:
		r.ack(ctx, d, a, id)
	case State:
		r.once(ctx, d, a, history.Operation{Kind: history.State, Conversation: id}, path, func(o *history.Operation, b *answer) error {
			var c wireConversation
			err := b.decode(&c)
			o.State = c.view()
			return err
		})
	case Head:
		r.once(ctx, d, a, history.Operation{Kind: history.Head, Conversation: id}, path+"/events?limit=1&after="+strconv.FormatInt(d.highest(id), 10), func(o *history.Operation, b *answer) error {
			var p wirePage
			err := b.decode(&p)
			o.Seq = p.head()
			return err
		})
	case Receipts:
		if last == 0 {
			return
		}
		o := history.Operation{Kind: history.Receipts, Conversation: id, Seq: last}
		r.once(ctx, d, a, o, fmt.Sprintf("%s/messages/%d/receipts", path, last), receiptsOf)
	default:
	}
}

// text is what a send says: its number, and then filling, with characters in it
// that need care.
func text(number, bytes int) string {
	const filling = ` the quick brown fox – "jumps" \over\ the lazy dog & <nobody> minds, ünless …`
	s := "message " + strconv.Itoa(number)
	if bytes > len(s) {
		s += strings.Repeat(filling, (bytes-len(s))/len(filling)+1)
	}
	s = s[:max(len("message "+strconv.Itoa(number)), min(bytes, len(s)))]
	return strings.ToValidUTF8(s, "") // the cut may have been within a character
}

func (r *run) clientID(number int) string { return r.tag + "-" + strconv.Itoa(number) }

func (r *run) send(ctx context.Context, d *device, a Act, t *talk, id string) {
	words := text(a.Number, a.Bytes)
	body := map[string]any{"client_id": r.clientID(a.Number), "text": words}
	o := history.Operation{Kind: history.Send, Conversation: id, ClientID: r.clientID(a.Number), Text: history.Digest(words)}
	if last := d.lastMessage(id); a.Reply && last > 0 {
		body["reply_to"], o.ReplyTo = last, last
	}
	took := func(o *history.Operation, b *answer) error {
		var e wireEvent
		err := b.decode(&e)
		o.Seq, o.AcceptedAt = e.Seq, e.AcceptedAt
		if e.Seq > 0 {
			t.message(e.Seq)
		}
		return err
	}
	var second sync.WaitGroup
	if a.Verb == Twice {
		other := a
		other.Node++
		second.Go(func() {
			r.repeat(ctx, d, other, o, http.MethodPost, "/v1/conversations/"+id+"/messages", body, took)
		})
	}
	r.repeat(ctx, d, a, o, http.MethodPost, "/v1/conversations/"+id+"/messages", body, took)
	second.Wait()
}

func (r *run) create(ctx context.Context, d *device, a Act) {
	c := r.plan.Conversations[a.Conversation]
	var handles, ids []string
	for _, u := range c.Members {
		ids = append(ids, r.accounts[u].id)
		if c.Kind == "group" || r.accounts[u].id != d.account.id {
			handles = append(handles, r.accounts[u].handle)
		}
	}
	body := map[string]any{"kind": c.Kind, "members": handles}
	o := history.Operation{Kind: history.Create, Members: ids}
	if c.Kind == "group" {
		o.ClientID = r.clientID(a.Number)
		body["client_id"], body["history"], body["title"] = o.ClientID, c.History, fmt.Sprintf("Group %d", a.Conversation)
	}
	r.repeat(ctx, d, a, o, http.MethodPost, "/v1/conversations", body, func(o *history.Operation, b *answer) error {
		var made wireConversation
		err := b.decode(&made)
		o.Conversation = made.ID
		switch {
		case r.rec.older[made.ID]:
			o.Kind = "" // it was there before the run, and stays out of it
		case made.ID != "":
			r.talks[a.Conversation].made(made.ID)
		}
		return err
	})
}

// ack acks what this device has got, or far more than there is.
func (r *run) ack(ctx context.Context, d *device, a Act, id string) {
	seq := d.highest(id)
	if a.Verb == Beyond {
		seq = 1 << 40
	} else if seq == 0 {
		return
	}
	marks := map[string]int64{id: seq}
	o, body := history.Operation{Kind: history.Ack, Delivered: marks}, map[string]any{"delivered": marks}
	if a.Read {
		o, body = history.Operation{Kind: history.Ack, Read: marks}, map[string]any{"read": marks}
	}
	a.Attempts = 3
	r.repeat(ctx, d, a, o, http.MethodPost, "/v1/acks", body, nil)
}

func (r *run) listed(ctx context.Context, d *device, a Act) {
	var page wireList
	var o history.Operation
	r.once(ctx, d, a, history.Operation{}, "/v1/conversations?limit=1000", func(done *history.Operation, b *answer) error {
		o = *done
		return b.decode(&page)
	})
	for i := range page.Conversations {
		if c := &page.Conversations[i]; !r.rec.older[c.ID] {
			o.Kind, o.Conversation, o.State = history.State, c.ID, c.view()
			r.rec.operation(o)
		}
	}
}

func eventsOf(o *history.Operation, a *answer) error {
	var list struct{ Events []wireEvent }
	err := a.decode(&list)
	o.Events = historyEvents(list.Events)
	return err
}

func receiptsOf(o *history.Operation, a *answer) error {
	var list struct{ Members []wireReceipt }
	err := a.decode(&list)
	for _, m := range list.Members {
		r := history.Receipt{Conversation: o.Conversation, User: m.UserID, DeliveredAt: m.DeliveredAt, ReadAt: m.ReadAt}
		if m.DeliveredAt != "" {
			r.Delivered = o.Seq
		}
		if m.ReadAt != "" {
			r.Read = o.Seq
		}
		o.Receipts = append(o.Receipts, r)
	}
	return err
}

// took reads the answer of an operation that was done into its record.
type took func(o *history.Operation, a *answer) error

// once makes one call and records it; o without a kind is only filled in.
func (r *run) once(ctx context.Context, d *device, a Act, o history.Operation, path string, take took) history.Outcome {
	return r.exchange(ctx, d, a.Node, o, http.MethodGet, path, nil, take)
}

// repeat makes a call until its outcome is certain and cannot become better by
// trying again, or as often as the act wants; each attempt is recorded. It
// moves on to the next node each time.
func (r *run) repeat(ctx context.Context, d *device, a Act, o history.Operation, method, path string, body any, take took) {
	for i := 1; ; i++ {
		if i > 1 {
			r.rec.count(repeated)
		}
		result := r.exchange(ctx, d, a.Node+i-1, o, method, path, body, take)
		switch {
		case result == history.OK, result == refusedForGood:
			return
		case a.Attempts > 0 && i >= a.Attempts:
			return
		case !pause(ctx, time.Duration(50+rand.IntN(min(1500, 200*i)))*time.Millisecond):
			return
		}
	}
}

// refusedForGood is Refused where trying again would be of no use.
const refusedForGood history.Outcome = "refused for good"

func (r *run) exchange(ctx context.Context, d *device, at int, o history.Operation, method, path string, body any, take took) history.Outcome {
	l := d.lines[at%len(d.lines)]
	o.Client, o.User, o.Node = d.name, d.account.id, l.node.name
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	o.Begin = r.rec.now()
	a, err := d.call(ctx, l.proxied, l.node, method, path, body, "")
	o.Outcome = outcome(a, err)
	if a != nil {
		o.Status, o.Code = a.status, a.code
	}
	// After the last byte; what is left is reading what came.
	o.End = r.rec.now()
	if o.Outcome == history.OK && take != nil {
		if err := take(&o, a); err != nil {
			r.rec.problem("%s: %s %s: an answer that cannot be read: %v", d.name, method, path, err)
		}
	}
	if o.Kind != "" {
		r.rec.operation(o)
	}
	if o.Outcome == history.Refused && o.Status < 500 && o.Status != http.StatusTooManyRequests && o.Status != http.StatusRequestTimeout {
		return refusedForGood
	}
	return o.Outcome
}
