package holdline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	holdline "holdline/sdk/go"
)

// application keeps what it is given, as one with a screen would.
type application struct {
	gate sync.Mutex // held: it stands still

	mu       sync.Mutex
	changed  chan struct{}
	cursor   string
	began    map[string]int64 // where the log of a conversation began for it
	seen     map[string][]holdline.Event
	complete map[string]int64
	resets   int

	fromStart bool // the snapshot is not where the logs begin
	wrong     []string
	state     holdline.State
	live      holdline.Transport
	err       error

	stop context.CancelFunc
	done chan struct{}
}

func newApplication() *application {
	a := &application{changed: make(chan struct{})}
	a.forget()
	return a
}

func (a *application) forget() {
	a.cursor = ""
	a.began, a.seen, a.complete = map[string]int64{}, map[string][]holdline.Event{}, map[string]int64{}
}

func (a *application) follow(ctx context.Context, c *holdline.Client, o holdline.FollowOptions) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, a.stop = context.WithCancel(ctx)
	a.done = make(chan struct{})
	a.fromStart = o.FromStart
	o.Cursor, o.Positions = a.cursor, a.complete
	o.OnState = func(s holdline.State) {
		a.change(func() {
			if a.state = s; s.Phase == holdline.Live {
				a.live = s.Transport
			}
		})
	}
	updates := c.Follow(ctx, o)
	go func() {
		defer close(a.done)
		for u, err := range updates {
			a.gate.Lock()
			a.change(func() {
				if a.err = err; err == nil {
					a.take(u)
				}
			})
			a.gate.Unlock()
		}
	}()
}

// leave stops following, as an application does that is closed.
func (a *application) leave() {
	if a.stop != nil {
		a.stop()
		<-a.done
		a.mu.Lock()
		defer a.mu.Unlock()
		if errors.Is(a.err, context.Canceled) {
			a.err = nil
		}
	}
}

// change does something to the application and tells those who wait.
func (a *application) change(what func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	what()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *application) take(u holdline.Update) {
	a.cursor = u.Cursor
	switch u.Kind {
	case holdline.KindReset:
		a.resets++
		a.forget()
	case holdline.KindSnapshot:
		if u.Snapshot != nil {
			for _, c := range u.Snapshot.Conversations {
				a.begin(c.Id, c.LastSeq)
			}
		} else {
			a.begin(u.ConversationID, u.Messages.LastSeq)
		}
	case holdline.KindEvent:
		a.seen[u.ConversationID] = append(a.seen[u.ConversationID], u.Event)
	case holdline.KindMissing:
		a.wrong = append(a.wrong, fmt.Sprintf("%d to %d are missing", u.From, u.To))
	}
	if u.ConversationID != "" && u.CompleteTo > 0 {
		a.complete[u.ConversationID] = u.CompleteTo
	}
}

func (a *application) begin(id string, seq int64) {
	if !a.fromStart && len(a.seen[id]) == 0 {
		a.began[id], a.complete[id] = seq, seq
	}
}

// last is where what it has of a conversation ends.
func (a *application) last(id string) int64 {
	if seen := a.seen[id]; len(seen) > 0 {
		return max(seen[len(seen)-1].Seq, seen[len(seen)-1].ThroughSeq)
	}
	return a.began[id]
}

// wait waits until something holds of the application.
func (a *application) wait(holds func() bool) error {
	deadline := time.After(patience)
	for {
		a.mu.Lock()
		ok, changed, err := holds(), a.changed, a.err
		a.mu.Unlock()
		if ok {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-deadline:
			return errors.New("it does not come true")
		}
	}
}

func (a *application) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("complete %v, %d resets, %s, state %+v, error %v", a.complete, a.resets, strings.Join(a.wrong, ", "), a.state, a.err)
}
