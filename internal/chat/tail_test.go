package chat

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdline/internal/harness"
)

// few takes so many lines, and fails for the next; it calls last with the one that was the last.
type few struct {
	room  int
	lines []string
	last  func()
}

func (f *few) Write(p []byte) (int, error) {
	if f.room == 0 {
		return 0, errors.New("no room")
	}
	f.lines = append(f.lines, string(p))
	if f.room--; f.room == 0 && f.last != nil {
		f.last()
	}
	return len(p), nil
}

// unlocked does something that takes a lock that was given back just now. Another test that begins a process at that moment hands
// it the lock until the program is in place.
func unlocked(t *testing.T, do func() error) error {
	t.Helper()
	var err error
	harness.Eventually(t, "the lock is free", func() bool {
		err = do()
		return err == nil || !strings.HasPrefix(err.Error(), "another holdline")
	})
	return err
}

// A tail that stops after each line, also in the middle of the first page, leaves nothing out and repeats nothing.
func TestTailStopsAfterEachLine(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	conversation := ann.Direct("bob")
	for i := range 5 {
		ann.MustSend(conversation, strconv.Itoa(i), strconv.Itoa(i))
	}
	for _, polls := range []bool{true, false} {
		o := TailOptions{
			Server: server.URL, Token: bob.Token, State: filepath.Join(t.TempDir(), "place"), FromStart: true, JSON: true, LongPoll: polls,
			Err: &few{},
		}
		var lines []string
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 5 {
			out := &few{room: 1}
			o.Out = out
			if err := unlocked(t, func() error { return Tail(ctx, o) }); err == nil || err.Error() != "no room" {
				t.Fatalf("polls %v: %v after %q", polls, err, lines)
			}
			o.FromStart = false // that counts at the first time only
			lines = append(lines, out.lines...)
		}
		out := &few{room: 1, last: cancel}
		o.Out = out
		if err := unlocked(t, func() error { return Tail(ctx, o) }); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, out.lines...)
		for i, line := range lines {
			if !strings.Contains(line, `"seq":`+strconv.Itoa(i+1)+`,`) {
				t.Fatalf("polls %v: line %d is %s", polls, i+1, line)
			}
		}
		if len(lines) != 6 {
			t.Errorf("%d lines", len(lines))
		}
	}
}
