//go:build linux

package fire

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/harness"
)

// messageBytes is how long the text of each message is, the most there may be.
const messageBytes = 16 << 10

// audience is readers of a conversation's stream who read as fast as they can.
type audience struct {
	readers int
	ended   chan string // why a stream ended before its context

	mu     sync.Mutex
	rounds map[int64]*round // by seq
}

// round is a message on its way to the readers.
type round struct {
	missing int
	all     chan struct{} // closed when every reader has it
}

func (a *audience) round(seq int64) *round {
	r := a.rounds[seq]
	if r == nil {
		r = &round{a.readers, make(chan struct{})}
		a.rounds[seq] = r
	}
	return r
}

// gather opens n streams behind a cursor, which end with ctx.
func gather(ctx context.Context, t *testing.T, c *harness.Client, conversation, cursor string, n int) *audience {
	t.Helper()
	a := &audience{readers: n, ended: make(chan string, n), rounds: map[int64]*round{}}
	for i := range n {
		stream, err := c.Stream(ctx, conversation, cursor)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				frame, ok, err := stream.Next()
				if !ok {
					a.ended <- fmt.Sprintf("the stream of reader %d ended: %v", i, err)
					return
				}
				if frame.ID != "" {
					a.had(placeOf(t, frame.ID))
				}
			}
		}()
	}
	return a
}

func (a *audience) had(seq int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.round(seq)
	if r.missing--; r.missing == 0 {
		close(r.all)
	}
}

// wait returns when every reader has a message.
func (a *audience) wait(seq int64) error {
	a.mu.Lock()
	all := a.round(seq).all
	a.mu.Unlock()
	overdue := time.NewTimer(patience)
	defer overdue.Stop()
	select {
	case <-all:
		return nil
	case why := <-a.ended:
		return fmt.Errorf("%s", why)
	case <-overdue.C:
		return fmt.Errorf("seq %d is not with every reader", seq)
	}
}

// flood sends n long messages by a few senders, each of whom goes on only when
// the audience has the last one: so nothing piles up, however slow this process
// or the machine is, and a message waits for nothing but the server. It calls
// each after every message, one at a time, and returns how long each was on
// its way, sorted: from before its sending until every reader had it.
func flood(t *testing.T, c *harness.Client, conversation, name string, n int, to *audience, each func()) []time.Duration {
	t.Helper()
	const atOnce = 8
	noise := make([]byte, messageBytes/4*3)
	_, _ = rand.Read(noise) // never fails
	text := base64.StdEncoding.EncodeToString(noise)
	var mu sync.Mutex
	var next atomic.Int64
	var took []time.Duration
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				e, a, err := c.Send(ctx, conversation, fmt.Sprintf("%s %d", name, i), text)
				cancel()
				if err != nil || a.Status != http.StatusCreated {
					t.Errorf("send %s %d: status %d, %v", name, i, a.Status, err)
					return
				}
				if err := to.wait(e.Seq); err != nil {
					t.Errorf("%s %d: %v", name, i, err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(began))
				each()
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	slices.Sort(took)
	return took
}

func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }
