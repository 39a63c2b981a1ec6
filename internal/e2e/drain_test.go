package e2e

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// held is a long-poll that was under way when the server was told to stop.
type held struct {
	page   harness.Page
	answer harness.Answer
	err    error
}

// poll starts a long-poll on a connection of its own and returns when its
// request has been written.
func poll(t *testing.T, c *harness.Client, conversation, after string) <-chan held {
	t.Helper()
	written := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { close(written) },
	})
	result := make(chan held, 1)
	go func() {
		var h held
		h.page, h.answer, h.err = c.Events(ctx, conversation, after, 50)
		result <- h
	}()
	<-written
	return result
}

// followed is a stream read to its end.
type followed struct {
	seqs  []int64
	last  harness.Frame
	retry string
	err   error
}

// follow reads a stream to its end, and closes started at its first event.
func follow(stream *harness.Stream, started chan<- struct{}) followed {
	var f followed
	for {
		frame, ok, err := stream.Next()
		if !ok {
			f.err, f.retry = err, stream.Retry()
			return f
		}
		if started != nil {
			close(started)
			started = nil
		}
		f.last = frame
		if frame.ID == "" {
			continue // a heartbeat
		}
		seq, err := parseSeq(frame.ID)
		if err != nil {
			f.err = err
			return f
		}
		f.seqs = append(f.seqs, seq)
	}
}

// While sends, polls and streams are under way, SIGTERM: polls are answered,
// streams get everything and are told when to come back, what was accepted is
// there afterwards, and the status is 0.
func TestTermDrains(t *testing.T) {
	testdb.Each(t, func(t *testing.T, database string) {
		s := harness.Start(t, harness.Config{Database: database})
		ann, bob := s.SignUp("ann"), s.SignUp("bob")
		busy, quiet := ann.Group("bob"), ann.Group("bob")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()

		const readers = 8
		streams := make(chan followed, readers)
		for range readers {
			reader := bob.At(s)
			stream, err := reader.Stream(ctx, busy, "")
			if err != nil {
				t.Fatal(err)
			}
			started := make(chan struct{})
			go func() { streams <- follow(stream, started) }()
			<-started
		}
		var polls []<-chan held
		for range readers {
			polls = append(polls, poll(t, bob.At(s), quiet, "1"))
		}
		senders := startSenders(ctx, ann, busy, 16)
		senders.waitFor(t, 100)
		// The server accepts connections in order, so that the polls' are with it now.
		if a, err := s.Client().Call(ctx, http.MethodGet, "/healthz", nil); err != nil || a.Status != http.StatusOK {
			t.Fatalf("healthz: %d, %v", a.Status, err)
		}
		s.Terminate()

		for _, p := range polls {
			h := <-p
			if h.err != nil || h.answer.Status != http.StatusOK || len(h.page.Events) != 0 || h.page.Cursor == "" {
				t.Errorf("a waiting poll: status %d, %d events, cursor %q, %v", h.answer.Status, len(h.page.Events), h.page.Cursor, h.err)
			}
		}
		var seen []followed
		for range readers {
			seen = append(seen, <-streams)
		}
		if status := s.Wait(); status != 0 {
			t.Errorf("status %d", status)
		}
		senders.stop(t)
		checkRetries(t, seen)

		again := s.Again()
		ann = ann.At(again)
		senders.repeat(t, ann, busy)
		log := ann.AllEvents(busy)
		checkLog(t, log, senders.accepted)
		for _, f := range seen {
			for i, seq := range f.seqs {
				if seq != int64(i)+1 {
					t.Fatalf("a stream's event %d has seq %d", i+1, seq)
				}
			}
			if len(f.seqs) > len(log) {
				t.Errorf("a stream has %d events, the log %d", len(f.seqs), len(log))
			}
		}
	})
}

// parseSeq returns the seq in a cursor, SEQ-EPOCH.
func parseSeq(cursor string) (int64, error) {
	seq, _, _ := strings.Cut(cursor, "-")
	return strconv.ParseInt(seq, 10, 64)
}

func seqOf(t *testing.T, cursor string) int64 {
	t.Helper()
	seq, err := parseSeq(cursor)
	if err != nil {
		t.Fatalf("cursor %q: %v", cursor, err)
	}
	return seq
}

// checkRetries sees that streams ended in order, each with a time to come back
// at, and not all with the same one.
func checkRetries(t *testing.T, seen []followed) {
	t.Helper()
	times := map[string]bool{}
	for _, f := range seen {
		if f.err != nil {
			t.Errorf("a stream broke: %v", f.err)
		}
		if ms, err := strconv.Atoi(f.retry); err != nil || ms < 100 || ms > 60_000 {
			t.Errorf("a stream says retry: %q", f.retry)
		}
		times[f.retry] = true
	}
	if len(times) < 2 {
		t.Errorf("all streams come back at the same time: %v", times)
	}
}

// A second signal does not wait for what the first one waits for.
func TestASecondSignalCuts(t *testing.T) {
	s := harness.Start(t, harness.Config{Args: []string{"--drain-timeout=5m", "--body-timeout=5m"}})
	conn := dial(t, s)
	write(t, conn, "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	if a, err := s.Client().Call(t.Context(), http.MethodGet, "/healthz", nil); err != nil || a.Status != http.StatusOK {
		t.Fatalf("healthz: %d, %v", a.Status, err)
	}
	s.Terminate()
	s.WaitLog("stopping")
	s.Signal(syscall.SIGINT)
	if status := s.Wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(s.Logs(), "cutting what is under way") {
		t.Error("it does not say that it cut something off")
	}
}
