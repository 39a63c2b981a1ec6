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

// flood sends n long messages by a few senders at a time, calls each
// after every answer, and returns when each seq was answered.
func flood(t *testing.T, c *harness.Client, conversation, name string, n int, each func()) map[int64]time.Time {
	t.Helper()
	const atOnce = 8
	noise := make([]byte, messageBytes/4*3)
	_, _ = rand.Read(noise) // never fails
	text := base64.StdEncoding.EncodeToString(noise)
	var mu sync.Mutex
	var next atomic.Int64
	answered := map[int64]time.Time{}
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				e, a, err := c.Send(t.Context(), conversation, fmt.Sprintf("%s %d", name, i), text)
				if err != nil || a.Status != http.StatusCreated {
					t.Errorf("a send: status %d, %v", a.Status, err)
					return
				}
				mu.Lock()
				answered[e.Seq] = time.Now()
				each()
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return answered
}

// latencies are how long after its answer each message was with each reader;
// less than nothing counts as nothing.
func latencies(t *testing.T, answered map[int64]time.Time, readers []chan arrival) (all []time.Duration) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for i, reader := range readers {
		for missing := len(answered); missing > 0; missing-- {
			select {
			case a, open := <-reader:
				if !open {
					t.Fatalf("the stream of reader %d ended with %d to come", i, missing)
				}
				all = append(all, max(0, a.at.Sub(answered[a.seq])))
			case <-deadline.C:
				t.Fatalf("reader %d still misses %d messages", i, missing)
			}
		}
	}
	slices.Sort(all)
	return all
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// Sixteen readers stop reading their sockets while much is sent. That costs
// the server little memory, far less than what they are owed; it delays
// nobody; each is cut when one write has lasted for the write timeout; and
// with the cursor it had, each gets exactly the rest.
func TestStuckReadersCostLittleAndDelayNobody(t *testing.T) {
	const (
		writeTimeout = 12 * time.Second
		healthy      = 4
		hanging      = 16
		first        = 512     // messages, before anybody hangs
		volume       = 1024    // and while they hang
		kernel       = 4 << 20 // what the kernel takes from the server for a reader, at most
	)
	server := harness.Start(t, harness.Config{NoRace: true, Args: []string{"--write-timeout", writeTimeout.String()}})
	ann, bob := bare(t, server.SignUp("ann")), bare(t, server.SignUp("bob"))
	conversation := ann.Group("bob")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var readers []chan arrival
	for range healthy {
		stream, err := bob.Stream(ctx, conversation, "1")
		if err != nil {
			t.Fatal(err)
		}
		into := make(chan arrival, 2*(first+volume))
		readers = append(readers, into)
		go arrivals(stream, into)
	}
	var before, during int64
	calm := latencies(t, flood(t, ann, conversation, "calm", first, func() { before = resident(t, server.Pid()) }), readers)

	page, _, err := bob.Events(ctx, conversation, fmt.Sprint(first), 0)
	if err != nil || page.More {
		t.Fatal(page.More, err)
	}
	var all []*stuck
	for range hanging {
		all = append(all, openStuck(t, bob, conversation, page.Cursor))
	}
	watched := &cuts{left: slices.Clone(all)}
	began, sent := time.Now(), 0
	tense := latencies(t, flood(t, ann, conversation, "tense", volume, func() {
		if watched.look(); watched.first.IsZero() {
			sent++
			during = max(during, resident(t, server.Pid()))
		}
	}), readers)
	blocked := time.Now() // at the latest
	harness.Eventually(t, "every stuck reader is cut", watched.look)

	// Whoever waited for a stuck reader would wait for the write timeout.
	if most := tense[len(tense)-1]; most > writeTimeout/4 {
		t.Errorf("a message took %v to a healthy reader", most)
	}
	owed := hanging * int64(sent*messageBytes-kernel)
	if owed < 64<<20 {
		t.Errorf("only %d messages were sent before the readers were cut: too few to show anything", sent)
	}
	if growth := during - before; growth > owed/3 {
		t.Errorf("the server grew by %d MiB; the stuck readers are owed %d MiB", growth>>20, owed>>20)
	}
	if early := watched.first.Sub(began); early < writeTimeout {
		t.Errorf("a stuck reader was cut after %v; the write timeout is %v", early, writeTimeout)
	}
	if late := watched.last.Sub(blocked); late > writeTimeout+3*time.Second {
		t.Errorf("a stuck reader was cut only %v after the last message", late)
	}
	t.Logf("%d readers hang and are owed %d MiB; resident %d MiB, before %d MiB; latency of others p99 %v, most %v (before: %v, %v); cut %.1f to %.1f s after they began",
		hanging, owed>>20, during>>20, before>>20,
		p99(tense).Round(time.Millisecond), tense[len(tense)-1].Round(time.Millisecond),
		p99(calm).Round(time.Millisecond), calm[len(calm)-1].Round(time.Millisecond),
		watched.first.Sub(began).Seconds(), watched.last.Sub(began).Seconds())

	leave()
	for i, s := range all {
		resumeStuck(t, bob, conversation, s, page.Cursor, first+1, first+volume+1, i)
	}
	checkStoreOf(t, server)
}

// resumeStuck reads on where a stuck reader's whole frames ended, to the end.
func resumeStuck(t *testing.T, c *harness.Client, conversation string, s *stuck, cursor string, after, last int64, i int) {
	t.Helper()
	seqs, resumeAt := s.rest(t)
	if resumeAt == "" {
		resumeAt = cursor
	}
	if owed := last - after - int64(len(seqs)); owed < (last-after)/4 {
		t.Errorf("stuck reader %d was owed only %d messages: it was hardly stuck", i, owed)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := c.Resume(ctx, conversation, resumeAt)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for after+int64(len(seqs)) < last {
		frame, ok, err := stream.Next()
		if !ok {
			t.Fatalf("stuck reader %d, back behind %q: the stream ended (%v)", i, resumeAt, err)
		}
		if frame.ID == "" {
			continue
		}
		seqs = append(seqs, placeOf(t, frame.ID))
	}
	for n, seq := range seqs {
		if seq != after+1+int64(n) {
			t.Fatalf("stuck reader %d has %d as event %d behind %d", i, seq, n+1, after)
		}
	}
}

// checkStoreOf stops a server and checks its database.
func checkStoreOf(t *testing.T, s *harness.Server) {
	t.Helper()
	s.Terminate()
	if status := s.Wait(); status != 0 {
		t.Errorf("the server ended with status %d", status)
	}
	checkStore(t, openStore(t, s.Database))
}
