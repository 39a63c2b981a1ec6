package fire

import (
	"bufio"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A trace is what strace -f wrote, line by line in the order in which it saw
// the threads enter and leave system calls. It stops a thread at both, so if
// one thread's leaving made another one enter, the lines are in that order.

// call is one system call: where it was entered and left, by line.
type call struct {
	name, text     string // text is arguments and result
	entered, leave int
}

// succeeded reports a result that is no error; a call that never returned has none.
func (c *call) succeeded() bool { return c.leave > 0 && !strings.Contains(c.text, ") = -1 ") }

var traceLine = regexp.MustCompile(`^(\d+) +[0-9.]+ (.*)$`)

const unfinished = " <unfinished ...>"

// parseTrace reads the calls of a trace in the order in which they were entered.
func parseTrace(trace string) ([]*call, error) {
	var calls []*call
	open := map[string]*call{} // by thread
	lines := bufio.NewScanner(strings.NewReader(trace))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		m := traceLine.FindStringSubmatch(lines.Text())
		if m == nil {
			return nil, fmt.Errorf("line %d of the trace is none: %.100s", n, lines.Text())
		}
		thread, rest := m[1], m[2]
		switch {
		case strings.HasPrefix(rest, "+++") || strings.HasPrefix(rest, "---"): // ended, signalled
		case strings.HasPrefix(rest, "<... "):
			_, rest, _ = strings.Cut(rest, " resumed>")
			c := open[thread]
			if c == nil {
				return nil, fmt.Errorf("line %d of the trace resumes nothing: %.100s", n, lines.Text())
			}
			c.text, c.leave = c.text+rest, n
			delete(open, thread)
		default:
			name, text, _ := strings.Cut(rest, "(")
			c := &call{name: name, text: text, entered: n}
			if begun, yes := strings.CutSuffix(text, unfinished); yes {
				c.text = begun
				open[thread] = c
			} else {
				c.leave = n
			}
			calls = append(calls, c)
		}
	}
	return calls, lines.Err()
}

// marker stands in the text of each message whose way is followed.
var marker = regexp.MustCompile(`fsync-marker-\d+\.`)

// stages are when a message passed each point on its way, by line; 0: never.
type stages struct {
	written  int // into the WAL: the write was left
	synced   int // a sync of the WAL, entered after that, was left with success
	answered int // the 201 was begun to be written to the socket
}

// followMessages looks for the markers in a trace.
func followMessages(trace string) (map[string]*stages, error) {
	calls, err := parseTrace(trace)
	if err != nil {
		return nil, err
	}
	found := map[string]*stages{}
	var syncs []*call
	for _, c := range calls {
		onWAL := strings.Contains(c.text, "-wal>")
		switch c.name {
		case "fsync", "fdatasync":
			if onWAL && c.succeeded() {
				syncs = append(syncs, c)
			}
		case "pwrite64", "write", "writev", "sendto":
			isAnswer := strings.Contains(c.text, `"HTTP/1.1 201 Created`)
			for _, m := range marker.FindAllString(c.text, -1) {
				if found[m] == nil {
					found[m] = &stages{}
				}
				switch s := found[m]; {
				case onWAL && s.written == 0 && c.succeeded(): // later ones write its page again
					s.written = c.leave
				case isAnswer && s.answered == 0:
					s.answered = c.entered
				}
			}
		}
	}
	for _, s := range found {
		for _, sync := range syncs {
			if s.written > 0 && sync.entered > s.written && (s.synced == 0 || sync.leave < s.synced) {
				s.synced = sync.leave
			}
		}
	}
	return found, nil
}

// unsynced names the messages that were answered before they were synced.
func unsynced(found map[string]*stages) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(found)) {
		s := found[name]
		if s.written == 0 || s.synced == 0 || s.synced > s.answered {
			names = append(names, name)
		}
	}
	return names
}
