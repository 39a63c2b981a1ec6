//go:build linux

package fire

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"holdline/internal/harness"
)

const (
	hanging = 16      // readers that stop reading their sockets
	kernel  = 4 << 20 // what the kernel takes from the server for one of them, at most
)

// slowWorld is a conversation with an audience, after a calm while.
type slowWorld struct {
	server       *harness.Server
	ann, bob     *harness.Client
	conversation string
	healthy      *audience
	calm         []time.Duration // how long messages were on their way
	resident     int64           // the server's memory then
	cursor       string          // behind all that was said
	last         int64           // seq of the same
	leave        func()          // ends the audience
}

func newSlowWorld(t *testing.T, writeTimeout time.Duration, first int) *slowWorld {
	t.Helper()
	const readers = 4
	w := &slowWorld{server: harness.Start(t, harness.Config{NoRace: true, Args: []string{"--write-timeout", writeTimeout.String()}})}
	w.ann, w.bob = bare(t, w.server.SignUp("ann")), bare(t, w.server.SignUp("bob"))
	w.conversation = w.ann.Group("bob")
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	w.leave = leave
	w.healthy = gather(ctx, t, w.bob, w.conversation, "1", readers)
	w.calm = flood(t, w.ann, w.conversation, "calm", first, w.healthy, func() { w.resident = resident(t, w.server.Pid()) })
	page, _, err := w.bob.Events(ctx, w.conversation, fmt.Sprint(first), 0)
	if err != nil || page.More {
		t.Fatal(page.More, err)
	}
	w.cursor, w.last = page.Cursor, page.LastSeq
	return w
}

// hang opens streams that nobody reads.
func (w *slowWorld) hang(t *testing.T) (all []*stuck) {
	t.Helper()
	for range hanging {
		all = append(all, openStuck(t, w.bob, w.conversation, w.cursor))
	}
	return all
}

// Sixteen readers stop reading their sockets while much is sent. That costs
// the server little memory, far less than what they are owed, and delays nobody:
// whoever waited for one of them would wait for the write timeout, which is
// longer than anybody's patience here.
func TestStuckReadersCostLittleAndDelayNobody(t *testing.T) {
	const first, volume = 256, 1024 // messages before anybody hangs, and while they do
	w := newSlowWorld(t, 5*patience, first)
	all := w.hang(t)
	watched := &cuts{left: slices.Clone(all)}
	var during int64
	tense := flood(t, w.ann, w.conversation, "tense", volume, w.healthy, func() { during = max(during, resident(t, w.server.Pid())) })
	if watched.look(); len(watched.left) != hanging {
		t.Errorf("%d readers were cut before their time", hanging-len(watched.left))
	}
	// A wait of any length for each message would show in most of them.
	if usual, now := median(w.calm), median(tense); now > 10*usual+50*time.Millisecond {
		t.Errorf("messages take %v when others hang, and %v else", now, usual)
	}
	const owed = hanging * (volume*messageBytes - kernel)
	if growth := during - w.resident; growth > owed/3 {
		t.Errorf("the server grew by %d MiB; the stuck readers are owed %d MiB", growth>>20, owed>>20)
	}
	t.Logf("%d readers hang and are owed %d MiB; resident %d MiB, before %d MiB; from a sender to all others %v, at most %v (before: %v, %v)",
		hanging, owed>>20, during>>20, w.resident>>20,
		median(tense).Round(time.Millisecond), tense[len(tense)-1].Round(time.Millisecond),
		median(w.calm).Round(time.Millisecond), w.calm[len(w.calm)-1].Round(time.Millisecond))
	w.leave()
	for _, s := range all {
		_ = s.conn.Close() // the server would wait for them
	}
	checkStoreOf(t, w.server)
}

// Each stuck reader is cut when one write to it has lasted for the write
// timeout; and with the cursor it had, it gets exactly the rest.
func TestStuckReadersAreCutAndResume(t *testing.T) {
	const (
		writeTimeout  = 3 * time.Second
		first, volume = 16, 512
	)
	w := newSlowWorld(t, writeTimeout, first)
	all := w.hang(t)
	watched := &cuts{left: slices.Clone(all)}
	began := time.Now()
	flood(t, w.ann, w.conversation, "tense", volume, w.healthy, func() { watched.look() })
	blocked := time.Now() // at the latest
	harness.Eventually(t, "every stuck reader is cut", watched.look)
	if early := watched.first.Sub(began); early < writeTimeout {
		t.Errorf("a stuck reader was cut after %v; the write timeout is %v", early, writeTimeout)
	}
	// A server that waited for anything but the write timeout would take the
	// default one's 20 s, or a heartbeat's.
	if late := watched.last.Sub(blocked); late > writeTimeout+10*time.Second {
		t.Errorf("a stuck reader was cut only %v after the last message", late)
	}
	t.Logf("cut %.1f to %.1f s after they began to hang", watched.first.Sub(began).Seconds(), watched.last.Sub(began).Seconds())
	w.leave()
	for i, s := range all {
		resumeStuck(t, w.bob, w.conversation, s, w.cursor, w.last, w.last+volume, i)
	}
	checkStoreOf(t, w.server)
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
