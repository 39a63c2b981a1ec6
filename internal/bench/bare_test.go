package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The test binary stands in for the holdline binary: as a child it serves the
// bare handler, or fails as asked.
func TestMain(m *testing.M) {
	switch os.Getenv("BENCH_TEST_CHILD") {
	case "bare":
		if err := Bare(context.Background(), "127.0.0.1:0", os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "fail":
		fmt.Fprintln(os.Stderr, "no such database")
		os.Exit(3)
	default:
		os.Exit(m.Run())
	}
}

func serveBare(t *testing.T) (addr string) {
	t.Helper()
	out := newAnnouncement()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Bare(ctx, "127.0.0.1:0", out) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the bare handler ended with %v", err)
		}
	})
	select {
	case addr = <-out.addr:
	case err := <-done:
		done <- err
		t.Fatalf("the bare handler did not start: %v", err)
	}
	return addr
}

func TestTheBareHandlerAnswersASendInFull(t *testing.T) {
	s, err := newSender(serveBare(t), "hl_token", "ab0001", "some text")
	if err != nil {
		t.Fatal(err)
	}
	defer s.w.Close() //nolint:errcheck // the test is over
	for seq := int64(1); seq <= 3; seq++ {
		body, err := s.send("4Jx0aQ7bTz1")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bodySeq(body); err != nil || got != seq {
			t.Errorf("seq %d, %v; want %d", got, err, seq)
		}
		var event map[string]any
		if err := json.Unmarshal(body, &event); err != nil {
			t.Fatal(err)
		}
		for field, want := range map[string]any{
			"conversation_id": "4Jx0aQ7bTz1", "type": "message", "text": "some text",
			"client_id": fmt.Sprintf("ab0001%014d", seq),
		} {
			if event[field] != want {
				t.Errorf("%s is %v, want %v", field, event[field], want)
			}
		}
		if event["sender_id"] == nil || event["accepted_at"] == nil {
			t.Errorf("fields are missing in %s", body)
		}
	}
}

func TestTheBareLoopReachesEveryReader(t *testing.T) {
	addr := serveBare(t)
	streams, err := openStreams(t.Context(), addr, 20, 256, func(int) []byte {
		return streamRequest(addr, "4Jx0aQ7bTz1", "hl_token", 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	trigger, err := dial(addr, 512)
	if err != nil {
		t.Fatal(err)
	}
	defer trigger.Close() //nolint:errcheck // the test is over
	frame := testFrames[2]
	side := fanSide{
		child: &child{name: "bare handler", addr: addr, cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}},
		crowd: startCrowd(streams),
		publish: func() error {
			status, body, err := trigger.do(fmt.Appendf(nil, "POST /fan HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", addr, len(frame), frame))
			if err == nil && status != 204 {
				err = fmt.Errorf("%d: %s", status, body)
			}
			return err
		},
	}
	defer side.crowd.close()
	fan, err := side.measure(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if fan.Spread.Count != 10 || fan.Spread.P50 <= 0 || fan.Spread.P50 > fan.Whole.P50 || fan.Answered.Count != 10 {
		t.Errorf("got %+v", fan)
	}
	// A heartbeat is no message: nobody must be counted for it.
	side.crowd.expect()
	frame = testFrames[1]
	if err := side.publish(); err != nil {
		t.Fatal(err)
	}
	frame = testFrames[3]
	if err := side.publish(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := side.crowd.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := side.crowd.missing.Load(); n != 0 {
		t.Errorf("%d readers are missing after the message", n)
	}
}

func TestAReaderThatIsCutFailsTheCrowd(t *testing.T) {
	addr := serveBare(t)
	streams, err := openStreams(t.Context(), addr, 3, 256, func(int) []byte { return streamRequest(addr, "x", "y", 1) })
	if err != nil {
		t.Fatal(err)
	}
	c := startCrowd(streams)
	defer c.close()
	c.expect()
	if err := streams[1].Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.wait(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestAChildIsStartedAndStopped(t *testing.T) {
	t.Setenv("BENCH_TEST_CHILD", "bare")
	c, err := startChild(t.Context(), "bare handler", os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if rss, err := residentKiB(c.pid()); err != nil || rss < 1000 {
		t.Errorf("it has %d KiB resident, %v", rss, err)
	}
	s, err := newSender(c.addr, "hl_token", "ab0001", "x")
	if err != nil {
		t.Fatal(err)
	}
	rate, err := loadFor(t.Context(), c, []*sender{s}, []string{"4Jx0aQ7bTz1", "4Jx0aQ7bTz2"}, 100_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if rate.PerSecond <= 0 || rate.Latency.Count == 0 {
		t.Errorf("got %+v", rate)
	}
	// It has no handler for SIGTERM and dies of it: that is not a clean stop.
	if err := c.stop(); err == nil || !strings.Contains(err.Error(), "did not stop cleanly") {
		t.Errorf("stop: %v", err)
	}
}

func TestAChildThatFailsIsQuoted(t *testing.T) {
	t.Setenv("BENCH_TEST_CHILD", "fail")
	_, err := startChild(t.Context(), "holdline serve", os.Args[0])
	if err == nil || !strings.Contains(err.Error(), "no such database") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}
