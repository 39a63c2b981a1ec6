package fire

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/store"
)

// sent is a message and what its sender was told of it.
type sent struct {
	sender, conversation, clientID, text string
	seq                                  int64
	acceptedAt                           time.Time
}

// message identifies a message, as the store must: one event each.
type message struct{ sender, conversation, clientID string }

func (s *sent) message() message { return message{s.sender, s.conversation, s.clientID} }

// life is the time of a server from its start to its end by violence.
type life struct {
	number int
	ending atomic.Bool   // set before the blow
	over   chan struct{} // closed when the next life has begun
	cut    atomic.Int64  // sends that it left without an answer
}

// senders send without pause, each its own messages one by one, and repeat
// under the same client_id whatever has no final answer.
type senders struct {
	conversations []string
	dice          dice
	limit         int // messages a sender; 0: until stop

	group    sync.WaitGroup
	done     chan struct{}
	life     atomic.Pointer[life]
	flight   atomic.Int64
	answered atomic.Int64
	grown    chan struct{} // cap 1: answered has grown

	mu       sync.Mutex
	accepted []sent
	cuts     []*life // those of past lives
	refused  map[string]int
	// Of the sends that had no answer at first: which ones turned out to have
	// been stored, which were not, and the repeats of answered ones.
	wereStored, wereNot, repeats int
	faults                       []string
}

func newSenders(d dice, conversations ...string) *senders {
	s := &senders{
		conversations: conversations, dice: d,
		done: make(chan struct{}), grown: make(chan struct{}, 1), refused: map[string]int{},
	}
	s.life.Store(&life{over: make(chan struct{})})
	return s
}

// start makes each client a sender.
func (s *senders) start(ctx context.Context, clients ...*harness.Client) {
	for i, c := range clients {
		who := fmt.Sprintf("sender %d", i)
		s.group.Go(func() { s.run(ctx, c, i, s.dice.of(who)) })
	}
}

func (s *senders) run(ctx context.Context, c *harness.Client, sender int, r *rand.Rand) {
	var own []sent
	for n := 0; s.limit == 0 || n < s.limit; n++ {
		select {
		case <-s.done:
			return
		default:
		}
		m := sent{
			sender: c.UserID, conversation: s.conversations[r.IntN(len(s.conversations))],
			clientID: fmt.Sprintf("%d-%d", sender, n), text: fmt.Sprintf("message %d of sender %d", n, sender),
		}
		if !s.deliver(ctx, c, &m) {
			return
		}
		own = append(own, m)
		if r.IntN(16) == 0 {
			s.repeat(ctx, c, own[r.IntN(len(own))])
		}
	}
}

// deliver sends m until it is accepted. It gives up, which is a fault, only
// when ctx ends.
func (s *senders) deliver(ctx context.Context, c *harness.Client, m *sent) bool {
	unknown, attempts := false, 0
	for {
		attempts++
		now := s.life.Load()
		s.flight.Add(1)
		e, a, err := c.Send(ctx, m.conversation, m.clientID, m.text)
		s.flight.Add(-1)
		switch {
		case ctx.Err() != nil:
			s.fault("%s was not accepted in time, after %d attempts", m.clientID, attempts)
			return false
		case err != nil:
			if !now.ending.Load() {
				s.fault("%s got no answer from a healthy server: %v", m.clientID, err)
			}
			unknown = true
			now.cut.Add(1)
			select {
			case <-now.over:
			case <-ctx.Done():
			}
		case a.Status == http.StatusServiceUnavailable:
			code := a.Problem().Code
			s.note(func() { s.refused[code]++ })
			if a.Header.Get("Retry-After") == "" {
				s.fault("503 without Retry-After: %s", a.Body)
			}
			unknown = unknown || code == string(store.CodeOutcomeUnknown)
			s.step()
			pause(ctx, 20*time.Millisecond)
		case a.Status == http.StatusOK && !unknown:
			s.fault("%s was stored although that had been ruled out (attempt %d): %s", m.clientID, attempts, a.Body)
			return false
		case a.Status == http.StatusOK, a.Status == http.StatusCreated:
			m.seq, m.acceptedAt = e.Seq, e.AcceptedAt
			if e.ClientID != m.clientID || e.Text != m.text || e.SenderID != m.sender || e.ConversationID != m.conversation {
				s.fault("%+v was answered as %s", *m, a.Body)
			}
			s.note(func() {
				s.accepted = append(s.accepted, *m)
				switch {
				case a.Status == http.StatusOK:
					s.wereStored++
				case unknown:
					s.wereNot++
				}
			})
			s.step()
			return true
		default:
			s.fault("%s: status %d: %s", m.clientID, a.Status, a.Body)
			return false
		}
	}
}

// repeat sends an answered message again, as a client does that has forgotten
// the answer; whatever happens to the repeat, it makes no second message.
func (s *senders) repeat(ctx context.Context, c *harness.Client, m sent) {
	e, a, err := c.Send(ctx, m.conversation, m.clientID, m.text)
	switch {
	case err != nil, a.Status == http.StatusServiceUnavailable: // the next send sees to it
	case a.Status != http.StatusOK || e.Seq != m.seq || !e.AcceptedAt.Equal(m.acceptedAt):
		s.fault("%s, accepted as seq %d, was answered %d when repeated: %s", m.clientID, m.seq, a.Status, a.Body)
	default:
		s.note(func() { s.repeats++ })
	}
}

func (s *senders) note(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func (s *senders) fault(format string, args ...any) {
	s.note(func() { s.faults = append(s.faults, fmt.Sprintf(format, args...)) })
}

func (s *senders) step() {
	s.answered.Add(1)
	select {
	case s.grown <- struct{}{}:
	default:
	}
}

// waitFor returns when n more sends have been answered.
func (s *senders) waitFor(t *testing.T, n int64) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for target := s.answered.Load() + n; s.answered.Load() < target; {
		select {
		case <-s.grown:
		case <-deadline.C:
			t.Fatalf("the senders stand still; faults: %v", s.faultsNow())
		}
	}
}

func (s *senders) faultsNow() (faults []string) {
	s.note(func() { faults = append(faults, s.faults...) })
	return faults
}

// ending says that the server is about to be killed: from now on a send may
// stay without an answer.
func (s *senders) ending() { s.life.Load().ending.Store(true) }

// reborn says that the server runs again.
func (s *senders) reborn() {
	old := s.life.Load()
	s.life.Store(&life{number: old.number + 1, over: make(chan struct{})})
	s.note(func() { s.cuts = append(s.cuts, old) })
	close(old.over)
}

// stop lets every sender finish its message; then the fields may be read.
func (s *senders) stop(t *testing.T) {
	t.Helper()
	close(s.done)
	s.wait(t)
}

// wait returns when every sender has sent its messages, and tells their faults.
func (s *senders) wait(t *testing.T) {
	t.Helper()
	s.group.Wait()
	for _, fault := range s.faults {
		t.Error(fault)
	}
}

// check sees that the logs hold what was accepted, each message once at the
// seq that its sender was told, and nothing else.
func (s *senders) check(t *testing.T, st *store.Store) {
	t.Helper()
	checkStore(t, st)
	stored := map[message]store.Event{}
	for _, conversation := range s.conversations {
		for _, e := range storedLog(t, st, conversation) {
			if e.Type != store.EventMessage {
				continue
			}
			key := message{e.SenderID.String(), conversation, e.ClientID}
			if other, twice := stored[key]; twice {
				t.Errorf("%+v is in the log twice, at %d and %d", key, other.Seq, e.Seq)
			}
			stored[key] = e
		}
	}
	for _, m := range s.accepted {
		e, ok := stored[m.message()]
		switch {
		case !ok:
			t.Errorf("lost: %+v", m)
		case e.Seq != m.seq || e.Text != m.text || e.AcceptedAt != store.MillisOf(m.acceptedAt):
			t.Errorf("accepted was %+v, the log has %+v", m, e)
		}
		delete(stored, m.message())
	}
	for key, e := range stored {
		t.Errorf("nobody sent %+v, at seq %d", key, e.Seq)
	}
	if len(s.accepted) == 0 {
		t.Error("nothing was accepted")
	}
}
