package holdline

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"
)

// maxAcks is how many conversations one call may name, of either kind.
const maxAcks = 1000

// AckOptions say how an Acknowledger works. The zero value will do.
type AckOptions struct {
	// Every is the least time between two calls (0: 1 s).
	Every time.Duration
	// Attempt bounds one call (0: 40 s, which is longer than the server takes).
	Attempt time.Duration
	// Pace says how long to wait after failures.
	Pace Pace
	// OnRefused, if set, is told of watermarks that the server refuses for good, and why; they are dropped.
	OnRefused func(Acks, error)
}

// Acknowledger gathers what has been delivered and read, and tells the server at most once a second. Of each
// conversation only the highest seq counts. What could not be told is told later. Its methods may be called from any
// goroutine; they do not wait, but for Flush and Close.
type Acknowledger struct {
	client *Client
	o      AckOptions

	mu              sync.Mutex
	delivered, read Watermarks

	posting chan struct{} // has room for one: one call at a time
	news    chan struct{} // there is something to tell
	stop    context.CancelFunc
	done    chan struct{}
}

// Acknowledger returns a new one, which must be closed.
func (c *Client) Acknowledger(o AckOptions) *Acknowledger {
	o.Every = orDefault(o.Every, time.Second)
	o.Attempt = orDefault(o.Attempt, 40*time.Second)
	o.Pace = o.Pace.orDefault()
	ctx, stop := context.WithCancel(context.Background())
	a := &Acknowledger{
		client: c, o: o, delivered: Watermarks{}, read: Watermarks{},
		posting: make(chan struct{}, 1), news: make(chan struct{}, 1), stop: stop, done: make(chan struct{}),
	}
	go func() {
		defer close(a.done)
		a.run(ctx)
	}()
	return a
}

// Delivered notes that everything up to seq has come to this device.
func (a *Acknowledger) Delivered(conversation string, seq int64) {
	a.note(a.delivered, conversation, seq)
}

// Read notes that everything up to seq has been read; that implies delivered.
func (a *Acknowledger) Read(conversation string, seq int64) { a.note(a.read, conversation, seq) }

func (a *Acknowledger) note(marks Watermarks, conversation string, seq int64) {
	a.mu.Lock()
	raise(marks, conversation, seq)
	a.mu.Unlock()
	a.wake()
}

func (a *Acknowledger) wake() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func raise(marks Watermarks, conversation string, seq int64) {
	if seq > marks[conversation] {
		marks[conversation] = seq
	}
}

// run tells what is there, as long as it lives.
func (a *Acknowledger) run(ctx context.Context) {
	failures := 0
	for {
		select {
		case <-a.news:
		case <-ctx.Done():
			return
		}
		for {
			hint, err := a.post(ctx)
			wait := a.o.Every
			if failures++; err == nil {
				failures = 0
			} else {
				wait = max(wait, a.o.Pace.after(failures, hint))
			}
			if pause(ctx, wait) != nil {
				return
			}
			if err == nil {
				break
			}
		}
	}
}

// Flush tells the server what is there now, without waiting for the second to pass. An error means that it is still
// there, and will be told later.
func (a *Acknowledger) Flush(ctx context.Context) error {
	for {
		_, err := a.post(ctx)
		if err != nil || a.empty() {
			return err
		}
	}
}

// Close tells what is left, and ends. An error means that the server may not know all of it; nothing is lost by that
// but the receipts, until the next time something of these conversations is acknowledged.
func (a *Acknowledger) Close(ctx context.Context) error {
	a.stop()
	<-a.done
	return a.Flush(ctx)
}

// abandon is Close for a context that may have ended already.
func (a *Acknowledger) abandon(ctx context.Context) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = a.Close(ctx) // what was delivered is told again by the next cursor
}

func (a *Acknowledger) empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.delivered)+len(a.read) == 0
}

// post makes one call, of what fits into it. What cannot be told yet is put back, and told later like what did not fit,
// without anything new.
func (a *Acknowledger) post(ctx context.Context) (hint time.Duration, err error) {
	select {
	case a.posting <- struct{}{}:
		defer func() { <-a.posting }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() {
		if !a.empty() {
			a.wake()
		}
	}()
	a.mu.Lock()
	acks := Acks{Delivered: take(a.delivered), Read: take(a.read)}
	a.mu.Unlock()
	hint, err = a.tell(ctx, acks)
	if err == nil {
		return 0, nil
	}
	a.mu.Lock()
	for id, seq := range acks.Delivered {
		raise(a.delivered, id, seq)
	}
	for id, seq := range acks.Read {
		raise(a.read, id, seq)
	}
	a.mu.Unlock()
	return hint, err
}

// take removes up to maxAcks watermarks.
func take(from Watermarks) Watermarks {
	taken := Watermarks{}
	for id, seq := range from {
		if len(taken) == maxAcks {
			break
		}
		taken[id] = seq
	}
	maps.DeleteFunc(from, func(id string, _ int64) bool { _, ok := taken[id]; return ok })
	return taken
}

// tell sends watermarks. The server applies all of a call or nothing, so one that it refuses is halved until those at
// fault stand alone. An error means that it may be tried again.
func (a *Acknowledger) tell(ctx context.Context, acks Acks) (time.Duration, error) {
	if len(acks.Delivered)+len(acks.Read) == 0 {
		return 0, nil
	}
	req, err := NewAcknowledgeRequest(a.client.server, acks)
	if err != nil {
		return 0, err
	}
	got, err := a.client.doWithin(ctx, a.o.Attempt, req)
	if err != nil {
		return 0, err
	}
	if got.status == http.StatusNoContent {
		return 0, nil
	}
	err = got.failure()
	if judgeRefusal(err) != refused {
		return got.retryAfter(), err
	}
	var p *Problem
	if errors.As(err, &p) && (p.Status == http.StatusConflict || p.Status == http.StatusBadRequest) && len(acks.Delivered)+len(acks.Read) > 1 {
		one, other := halves(acks)
		if hint, err := a.tell(ctx, one); err != nil {
			return hint, err
		}
		return a.tell(ctx, other)
	}
	if a.o.OnRefused != nil {
		a.o.OnRefused(acks, err)
	}
	return 0, nil
}

func halves(acks Acks) (one, other Acks) {
	one = Acks{Delivered: Watermarks{}, Read: Watermarks{}}
	other = Acks{Delivered: Watermarks{}, Read: Watermarks{}}
	n := 0
	deal := func(marks, a, b Watermarks) {
		for id, seq := range marks {
			if n++; n%2 == 0 {
				a[id] = seq
			} else {
				b[id] = seq
			}
		}
	}
	deal(acks.Delivered, one.Delivered, other.Delivered)
	deal(acks.Read, one.Read, other.Read)
	return one, other
}
