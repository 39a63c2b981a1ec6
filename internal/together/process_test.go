package together

import (
	"fmt"
	"io"
	"strings"

	"holdline/internal/harness"
)

// count is how many of a program's lines begin with a text.
func count(c *harness.Child, text string) (n int) {
	for _, line := range c.Lines(0) {
		if strings.HasPrefix(line, text) {
			n++
		}
	}
	return n
}

// shown are the messages among a program's lines, by what read makes of one. An error says that no more come.
func shown(c *harness.Child, read func(line string) (said, bool)) (all []said, err error) {
	select {
	case <-c.Exited():
		err = fmt.Errorf("it has ended: %w", io.EOF)
	default:
	}
	for _, line := range c.Lines(0) {
		if s, ok := read(line); ok {
			all = append(all, s)
		}
	}
	return all, err
}
