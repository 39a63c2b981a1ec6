package bench

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
)

var testFrames = []string{
	"retry: 2000\n\n",
	"event: heartbeat\ndata: {\"type\":\"heartbeat\",\"at\":\"2026-01-02T03:04:05.000Z\"}\n\n",
	"event: message\ndata: {\"seq\":12,\"text\":\"id: 99\"}\nid: 12-k7q\n\n",
	"event: message\ndata: {\"seq\":13,\"text\":\"b\"}\nid: 13-k7q\n\n",
}

func TestStreamsAreReadWhateverTheCuts(t *testing.T) {
	var plain, chunked string
	for _, f := range testFrames {
		plain += f
		// Two chunks a frame, so that a frame spans them.
		chunked += fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n", 5, f[:5], len(f)-5, f[5:])
	}
	chunked += "0\r\n\r\n"
	for name, input := range map[string]string{
		"close-delimited": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + plain,
		"chunked":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
	} {
		for step := 1; step <= len(input); step++ {
			w := scriptedWire(input, step)
			h, err := w.readHead()
			if err != nil {
				t.Fatal(err)
			}
			s := &stream{w: w, chunked: h.chunked}
			var got []string
			for err == nil {
				err = s.read(func(frame []byte) { got = append(got, string(frame)) })
			}
			if !errors.Is(err, io.EOF) {
				t.Fatalf("%s, step %d: ended with %v", name, step, err)
			}
			if !reflect.DeepEqual(got, testFrames) {
				t.Fatalf("%s, step %d: frames %q", name, step, got)
			}
		}
	}
}

func TestOnlyLogEventsHaveASeq(t *testing.T) {
	want := []int64{-1, -1, 12, 13}
	for i, f := range testFrames {
		seq, ok := frameSeq([]byte(f))
		if !ok {
			seq = -1
		}
		if seq != want[i] {
			t.Errorf("%q: seq %d, want %d", f, seq, want[i])
		}
	}
}

func TestReadingFramesDoesNotAllocate(t *testing.T) {
	var f frames
	frame := []byte(testFrames[2])
	count := 0
	got := func([]byte) { count++ }
	f.feed(frame[:10], got) // the first partial frame makes its buffer
	f.feed(frame[10:], got)
	if n := testing.AllocsPerRun(100, func() {
		f.feed(frame, got)
		f.feed(frame[:10], got)
		f.feed(frame[10:], got)
	}); n != 0 {
		t.Errorf("%v allocations for two frames", n)
	}
}
