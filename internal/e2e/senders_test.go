package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/harness"
)

// senders send without pause, each its own numbered messages.
type senders struct {
	done     chan struct{}
	group    sync.WaitGroup
	count    atomic.Int64
	answered chan struct{} // cap 1: count has grown
	mu       sync.Mutex
	accepted map[string]int64 // seq by client_id
	problems map[string]int   // by code
	open     []string         // client_ids without a certain answer
	wrong    []string         // failures that may not be
}

func startSenders(ctx context.Context, c *harness.Client, conversation string, n int) *senders {
	s := &senders{done: make(chan struct{}), answered: make(chan struct{}, 1), accepted: map[string]int64{}, problems: map[string]int{}}
	for i := range n {
		s.group.Go(func() { s.run(ctx, c, conversation, i) })
	}
	return s
}

func (s *senders) run(ctx context.Context, c *harness.Client, conversation string, sender int) {
	for n := 0; ; n++ {
		select {
		case <-s.done:
			return
		default:
		}
		id := fmt.Sprintf("%d-%d", sender, n)
		e, a, err := c.Send(ctx, conversation, id, "message "+id)
		s.mu.Lock()
		switch {
		case err != nil:
			s.open = append(s.open, id)
			s.problems["no answer"]++
		case a.Status < http.StatusMultipleChoices:
			s.accepted[id] = e.Seq
		default:
			s.open = append(s.open, id)
			s.problems[a.Problem().Code]++
			full := a.Status == http.StatusInsufficientStorage && a.Problem().Code == "storage_full"
			if !full && (a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "") {
				s.wrong = append(s.wrong, fmt.Sprintf("status %d, Retry-After %q: %s", a.Status, a.Header.Get("Retry-After"), a.Body))
			}
		}
		s.mu.Unlock()
		s.count.Add(1)
		select {
		case s.answered <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// waitFor returns when n more sends have been answered.
func (s *senders) waitFor(t *testing.T, n int64) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for target := s.count.Load() + n; s.count.Load() < target; {
		select {
		case <-s.answered:
		case <-deadline.C:
			t.Fatal("the senders stand still")
		}
	}
}

// stop ends the senders, each after its answer; then their fields may be read.
func (s *senders) stop(t *testing.T) {
	t.Helper()
	close(s.done)
	s.group.Wait()
	for _, failure := range s.wrong {
		t.Errorf("a send: %s", failure)
	}
}

// repeat sends again, with the same client_id, what had no certain answer.
func (s *senders) repeat(t *testing.T, c *harness.Client, conversation string) {
	t.Helper()
	for _, id := range s.open {
		e, a, err := c.Send(t.Context(), conversation, id, "message "+id)
		if err != nil || a.Status >= http.StatusMultipleChoices {
			t.Fatalf("repeating %s: status %d, %v: %s", id, a.Status, err, a.Body)
		}
		s.accepted[id] = e.Seq
	}
	s.open = nil
}

// checkLog sees that a log is gapless and holds each accepted message once, at
// the seq that its sender was told.
func checkLog(t *testing.T, log []harness.Event, accepted map[string]int64) {
	t.Helper()
	at := map[string]int64{}
	for i, e := range log {
		if e.Seq != int64(i)+1 {
			t.Fatalf("event %d of the log has seq %d", i+1, e.Seq)
		}
		if e.Type != "message" {
			continue
		}
		if other, twice := at[e.Text]; twice {
			t.Errorf("%q is in the log twice, at %d and %d", e.Text, other, e.Seq)
		}
		at[e.Text] = e.Seq
	}
	for id, seq := range accepted {
		if got := at["message "+id]; got != seq {
			t.Errorf("message %s was accepted as seq %d; the log has it at %d", id, seq, got)
		}
	}
	if len(accepted) == 0 {
		t.Error("nothing was accepted")
	}
}
