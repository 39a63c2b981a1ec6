package torture

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"holdline/internal/torture/history"
)

// Times of the end of a run. What is expected ends each wait at once; the
// times bound how long something that is missing is waited for.
const (
	eventsWait   = 45 * time.Second
	receiptsWait = 20 * time.Second
	settleWait   = 30 * time.Second
	// quiet is for how long an inbox must have got nothing: longer than a lost
	// hint costs, which the sweep finds within a second.
	quiet = 3 * time.Second
	// settled is after what time without a move watermarks do not move any more:
	// a delivery is written within a second.
	settled   = 2500 * time.Millisecond
	drainTick = 50 * time.Millisecond
	// drainLeg ends when its chain is complete.
	drainLeg = time.Hour
)

// ends is what there is in the end.
type ends struct {
	conversations []history.Conversation
	heads         map[string]int64            // by conversation
	joined        map[string]map[string]int64 // by user and conversation: where members are in from
}

// drain brings every chain to its end and returns the conversations as they
// are then. Nothing may write to them when it is called.
func (r *run) drain(ctx context.Context) ([]history.Conversation, error) {
	e, err := r.readLogs(ctx)
	if err != nil {
		return nil, err
	}
	chains := r.rec.allChains()
	followers := make([]*follower, len(chains))
	defer func() {
		for _, f := range followers {
			f.end()
		}
	}()
	for i, c := range chains {
		followers[i] = follow(ctx, c, Leg{Lasts: drainLeg, Node: i, Direct: i%2 == 0, Header: i%3 == 0, Wait: 1, Limit: 1000})
	}
	// The inboxes go on after their last event, for the receipts.
	patience := eventsWait
	if p := r.options.Patience; p > 0 {
		patience = p
	}
	late := waitFor(ctx, followers, patience, func(f *follower) bool { return f.chain.complete(e, r.rec.now()) })
	for _, f := range late {
		r.rec.problem("%v is not at its end after %v", f.chain, patience)
	}
	for _, f := range followers {
		f.chain.markComplete()
		if !f.chain.plan.Form.Inbox() {
			f.end()
		}
	}
	if err := r.settle(ctx, e); err != nil {
		return nil, err
	}
	waitFor(ctx, followers, min(receiptsWait, patience), func(f *follower) bool { return f.chain.told(e, r.hides) })
	for _, f := range followers {
		f.end()
		f.chain.markTold()
	}
	return e.conversations, r.showReading(ctx)
}

// follower follows a chain in the background.
type follower struct {
	chain  *chain
	cancel context.CancelFunc
	group  sync.WaitGroup
}

func follow(ctx context.Context, c *chain, leg Leg) *follower {
	c.drain()
	ctx, cancel := context.WithCancel(ctx)
	f := &follower{chain: c, cancel: cancel}
	f.group.Go(func() { c.leg(ctx, leg) })
	return f
}

func (f *follower) end() {
	f.cancel()
	f.group.Wait()
}

// waitFor waits until all are done, at most for a time; it returns those that
// are not.
func waitFor(ctx context.Context, all []*follower, most time.Duration, done func(*follower) bool) (late []*follower) {
	for deadline := time.Now().Add(most); ; {
		late = nil
		for _, f := range all {
			if !done(f) {
				late = append(late, f)
			}
		}
		if len(late) == 0 || time.Now().After(deadline) || !pause(ctx, drainTick) {
			return late
		}
	}
}

// complete reports whether the chain has got everything there is.
func (c *chain) complete(e *ends, now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != "" {
		return true // the checker says whether rightly so
	}
	user := c.reader.User
	if c.drained == 0 {
		return false
	}
	if !c.plan.Form.Inbox() {
		_, member := e.joined[user][c.conversation]
		return member && c.has.at[c.conversation] >= e.heads[c.conversation]
	}
	for conversation := range e.joined[user] {
		if c.has.at[conversation] < e.heads[conversation] {
			return false
		}
	}
	return now-max(c.came, c.drained) >= int64(quiet)
}

// markComplete notes that the chain was followed to its end, wherever that
// turned out to be.
func (c *chain) markComplete() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reader.Complete = c.drained > 0 && (c.ended == "" || c.ended == notFound)
}

// told reports whether an inbox has got the final receipts of its user's
// conversations. Lines of text carry none.
func (c *chain) told(e *ends, hides func(string) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.plan.Form.Inbox() || c.plan.Form == history.InboxText || c.ended != "" {
		return true
	}
	for i := range e.conversations {
		v := &e.conversations[i]
		joined, member := e.joined[c.reader.User][v.ID]
		if !member {
			continue
		}
		for _, final := range v.Receipts {
			got := c.has.acks[watermark{v.ID, final.User}]
			if final.User != c.reader.User && (final.Delivered >= joined && got.Delivered < final.Delivered ||
				final.Read >= joined && got.Read < final.Read && !hides(final.User)) {
				return false
			}
		}
	}
	return true
}

// markTold notes that an inbox was followed until it had the final receipts,
// or had time enough to get them.
func (c *chain) markTold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reader.ReceiptsComplete = c.reader.Complete && c.plan.Form.Inbox() && c.plan.Form != history.InboxText
}

// readLogs reads every conversation of the run from its beginning to its end.
func (r *run) readLogs(ctx context.Context) (*ends, error) {
	e := &ends{heads: map[string]int64{}, joined: map[string]map[string]int64{}}
	readers, err := r.whoReads(ctx)
	if err != nil {
		return nil, err
	}
	for id, a := range readers {
		c, err := r.readLog(ctx, id, a)
		if err != nil {
			return nil, err
		}
		e.conversations = append(e.conversations, c)
		e.heads[id] = int64(len(c.Log))
		for _, m := range c.Members {
			if e.joined[m.User] == nil {
				e.joined[m.User] = map[string]int64{}
			}
			e.joined[m.User][id] = m.FromSeq
		}
	}
	return e, nil
}

// whoReads finds a reader for the whole log of each conversation: by the plan
// its keeper. A conversation whose creation was given up may be there all the
// same, and then its first members still are in it.
func (r *run) whoReads(ctx context.Context) (map[string]*account, error) {
	readers := map[string]*account{}
	for i, t := range r.talks {
		if id, _ := t.known(); id != "" {
			readers[id] = r.accounts[r.plan.Conversations[i].Keeper]
		}
	}
	for _, a := range r.accounts {
		all, err := r.list(ctx, a)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			if !r.rec.older[c.ID] && readers[c.ID] == nil {
				readers[c.ID] = a
			}
		}
	}
	return readers, nil
}

func (r *run) readLog(ctx context.Context, id string, a *account) (c history.Conversation, err error) {
	d := newDevice("reader", a, r.nodes, r.rec)
	defer d.close()
	var shown wireConversation
	if err := d.must(ctx, "GET", "/v1/conversations/"+id, nil, &shown); err != nil {
		return c, err
	}
	c = history.Conversation{ID: id, Kind: shown.Kind, History: shown.History, Reader: a.id, ReadAt: r.rec.now()}
	for after := int64(0); ; {
		var page wirePage
		if err := d.must(ctx, "GET", fmt.Sprintf("/v1/conversations/%s/events?limit=1000&after=%d", id, after), nil, &page); err != nil {
			return c, err
		}
		c.Log = append(c.Log, historyEvents(page.Events)...)
		if !page.More || len(page.Events) == 0 {
			break
		}
		after = max(page.Events[len(page.Events)-1].Seq, page.Events[len(page.Events)-1].ThroughSeq)
	}
	var list struct {
		Members []struct {
			User    struct{ ID string }
			Role    string
			FromSeq int64 `json:"from_seq"`
		}
	}
	if err := d.must(ctx, "GET", "/v1/conversations/"+id+"/members?limit=1000", nil, &list); err != nil {
		return c, err
	}
	for _, m := range list.Members {
		c.Members = append(c.Members, history.Member{User: m.User.ID, Role: m.Role, FromSeq: m.FromSeq})
	}
	return c, nil
}

// settle reads the watermarks of all members until they do not move any more.
func (r *run) settle(ctx context.Context, e *ends) error {
	read := func() ([][]history.Receipt, error) {
		all := make([][]history.Receipt, len(e.conversations))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(4)
		for i := range e.conversations {
			g.Go(func() (err error) {
				all[i], err = r.watermarks(ctx, &e.conversations[i])
				return err
			})
		}
		return all, g.Wait()
	}
	before, err := read()
	for deadline := time.Now().Add(settleWait); err == nil; {
		pause(ctx, settled)
		var now [][]history.Receipt
		if now, err = read(); err != nil {
			break
		}
		same := reflect.DeepEqual(before, now)
		if before = now; same || time.Now().After(deadline) {
			if !same {
				r.rec.problem("the watermarks still move %v after the last message", settleWait)
			}
			for i := range now {
				e.conversations[i].Receipts = now[i]
			}
			return nil
		}
	}
	return err
}

// watermarks are those of all members of a conversation, each asked for by the
// member.
func (r *run) watermarks(ctx context.Context, c *history.Conversation) (all []history.Receipt, err error) {
	for _, m := range c.Members {
		for i, a := range r.accounts {
			if a.id != m.User {
				continue
			}
			d := r.reader(i)
			begin := r.rec.now()
			var shown wireConversation
			err := d.must(ctx, "GET", "/v1/conversations/"+c.ID, nil, &shown)
			d.close()
			if err != nil {
				return nil, err
			}
			r.rec.operation(history.Operation{
				Kind: history.State, Client: d.name, User: a.id, Begin: begin, End: r.rec.now(), Outcome: history.OK, Status: 200,
				Conversation: c.ID, State: shown.view(),
			})
			all = append(all, history.Receipt{Conversation: c.ID, User: a.id, Delivered: shown.DeliveredSeq, Read: shown.ReadSeq})
		}
	}
	return all, nil
}

// showReading turns read receipts on again where the run has turned them off
// in accounts that are not its own.
func (r *run) showReading(ctx context.Context) error {
	for i, a := range r.accounts {
		if r.options.Accounts == "" || !r.hides(a.id) {
			continue
		}
		d := r.reader(i)
		err := d.must(ctx, "PATCH", "/v1/me", map[string]bool{"read_receipts": !a.hidden}, nil)
		d.close()
		if err != nil {
			return err
		}
	}
	return nil
}
