package holdline

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Wherever a stream is cut, what passes is the whole frames before the cut, however lines end and bytes arrive.
func TestOnlyWholeFramesPass(t *testing.T) {
	t.Parallel()
	frames := []string{
		"retry: 1000\nevent: heartbeat\ndata: {}\n", "event: message\ndata: {\"a\":1}\nid: 12-abc\n", ": a comment\n", "data: é\ndata\nid: 123-abc\n",
	}
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		for _, start := range []string{"", "\xef\xbb\xbf", end} {
			stream, ends := start, []int{}
			for _, f := range frames {
				stream += strings.ReplaceAll(f+"\n", "\n", end)
				ends = append(ends, len(stream))
				if end == "\r\n" {
					ends[len(ends)-1]-- // at the CR already
				}
			}
			for cut := range len(stream) + 1 {
				want := ""
				for i, f := range frames {
					if ends[i] <= cut {
						want += f + "\n"
					}
				}
				for _, body := range []io.Reader{strings.NewReader(stream[:cut]), iotest.OneByteReader(strings.NewReader(stream[:cut]))} {
					got, err := io.ReadAll(newWholeFrames(io.NopCloser(body), time.Minute))
					if err != nil || string(got) != want {
						t.Fatalf("%s, cut at %d of %q: %v, got %q instead of %q", name, cut, stream, err, got, want)
					}
				}
			}
		}
	}
}

// A line that brings nothing is given up; one whose bytes nobody asks for is not.
func TestASilentStreamIsGivenUp(t *testing.T) {
	t.Parallel()
	const idle = 50 * time.Millisecond
	body, write := io.Pipe()
	w := newWholeFrames(body, idle)
	go func() { _, _ = io.WriteString(write, "data: 1\n\ndata: 2\n\n") }()
	p := make([]byte, 9)
	if n, err := w.Read(p); err != nil || string(p[:n]) != "data: 1\n\n" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	<-time.After(3 * idle) // the application takes its time
	if n, err := w.Read(p); err != nil || string(p[:n]) != "data: 2\n\n" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	if _, err := w.Read(p); !errors.Is(err, errSilent) {
		t.Fatalf("%v instead of silence", err)
	}
}

// A frame without an end is not asked for again and again, as long as it is the same.
func TestAFrameThatIsTooLong(t *testing.T) {
	t.Parallel()
	body := io.MultiReader(strings.NewReader("data: 1\n\ndata: "), &endless{})
	f := newFollower(nil, FollowOptions{Cursor: "c"}, nil)
	_, err := io.Copy(io.Discard, newWholeFrames(io.NopCloser(body), time.Minute))
	var bad *MalformedError
	if !errors.As(f.streamEnded(err), &bad) || bad.Cursor != "c" || !errors.Is(bad, errFrame) {
		t.Fatalf("%v", err)
	}
}

// endless is a reader of x without an end.
type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// What follows a place is judged by its seqs.
func TestPositions(t *testing.T) {
	t.Parallel()
	p := positions{"c": 5}
	for _, c := range []struct {
		conversation string
		seq, through int64
		want         verdict
	}{
		{"c", 5, 0, repeat}, {"c", 6, 0, next}, {"c", 7, 0, beyond}, {"c", 3, 4, repeat}, {"c", 4, 8, next}, {"c", 6, 9, next}, {"c", 7, 9, beyond}, {"new", 40, 0, next},
	} {
		e := Event{ConversationId: c.conversation, Seq: c.seq, ThroughSeq: c.through}
		if got := p.judge(&e); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	p.reach("c", 3)
	if p["c"] != 5 {
		t.Error("a place went back")
	}
}

// A wait grows to its bound, is never below what the server asks for, and is not the same for everybody.
func TestPace(t *testing.T) {
	t.Parallel()
	p := Pace{Min: 100 * time.Millisecond, Max: time.Second, MaxHint: 5 * time.Second}.orDefault()
	different := map[time.Duration]bool{}
	for failures, ceiling := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 4: 800 * time.Millisecond, 5: time.Second, 1000: time.Second} {
		for range 100 {
			d := p.after(failures, 0)
			if d < ceiling/2 || d > ceiling {
				t.Fatalf("%v after %d failures", d, failures)
			}
			different[d] = true
		}
	}
	if len(different) < 100 {
		t.Errorf("only %d different waits", len(different))
	}
	if d := p.after(1, 3*time.Second); d < 3*time.Second || d > 3300*time.Millisecond {
		t.Errorf("%v where 3 s were asked for", d)
	}
	if d := p.after(1, time.Hour); d < 5*time.Second || d > 5500*time.Millisecond {
		t.Errorf("%v where an hour was asked for", d)
	}
}

// However the bytes come, the same passes, and only up to the end of a frame.
func FuzzWholeFrames(f *testing.F) {
	f.Add([]byte("event: message\r\ndata: {}\r\n\r\nid: 1\r\rdata\n\n"), 3)
	f.Add([]byte("\xef\xbb\xbfdata: 1\n\ndata: 2"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		read := func(r io.Reader) string {
			b, err := io.ReadAll(newWholeFrames(io.NopCloser(r), time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		all := read(bytes.NewReader(stream))
		if read(iotest.OneByteReader(bytes.NewReader(stream))) != all {
			t.Error("it depends on how the bytes come")
		}
		if all != "" && !strings.HasSuffix(all, "\n\n") || strings.ContainsRune(all, '\r') {
			t.Errorf("%q passed", all)
		}
		if part := read(bytes.NewReader(stream[:min(len(stream), max(0, cut))])); !strings.HasPrefix(all, part) {
			t.Errorf("%q passed of a part", part)
		}
	})
}
