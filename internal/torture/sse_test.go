package torture

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAFrameIsWholeAtItsBlankLine(t *testing.T) {
	const stream = "retry: 3000\nevent: heartbeat\ndata: {\"at\":1}\n\n" +
		"event: message\ndata: one\nid: 1-x\n\n" +
		"event: message\r\ndata: two\r\ndata: lines\r\nid: 2-x\r\n\r\n" +
		": a comment\nid: 3-x\n\n" +
		"event: message\ndata: four\nid: 4-x\n\n"
	whole := []string{"heartbeat|{\"at\":1}|", "message|one|1-x", "message|two\nlines|2-x", "||3-x", "message|four|4-x"}
	ends := []int{strings.Index(stream, "\n\n") + 2}
	for _, mark := range []string{"id: 1-x\n\n", "id: 2-x\r\n\r\n", "id: 3-x\n\n", "id: 4-x\n\n"} {
		ends = append(ends, strings.Index(stream, mark)+len(mark))
	}
	for cut := range len(stream) + 1 {
		var want []string
		for i, end := range ends {
			if end <= cut {
				want = append(want, whole[i])
			}
		}
		var got []string
		err := readFrames(iotest.OneByteReader(strings.NewReader(stream[:cut])), func(f frame) bool {
			got = append(got, fmt.Sprintf("%s|%s|%s", f.event, f.data, f.id))
			return true
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("cut at %d: %q, %v; want %q", cut, got, err, want)
		}
	}
}

func TestABrokenStreamIsAnError(t *testing.T) {
	broken := errors.New("reset")
	r := io.MultiReader(strings.NewReader("data: x\n\ndata: y\n"), iotest.ErrReader(broken))
	var got []string
	err := readFrames(r, func(f frame) bool { got = append(got, f.data); return true })
	if !errors.Is(err, broken) || !slices.Equal(got, []string{"x"}) {
		t.Errorf("%q, %v", got, err)
	}
}
