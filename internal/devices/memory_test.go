package devices

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What docs/devices.md promises: the client's own memory, 8 KiB together. What
// the C library takes for itself is not among it.
const (
	staticBytes = 7 << 10
	stackBytes  = 1 << 10
)

// Lines of the call graph that gcc writes with -fcallgraph-info=su (GCC
// manual, "Developer Options").
var (
	graphNode = regexp.MustCompile(`^node: \{ title: "([^"]+)" label: "[^"]*?\\n(\d+) bytes \((\w+)\)`)
	graphEdge = regexp.MustCompile(`^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"`)
)

// stack is the deepest stack of the client's own functions, from the compiler's
// call graph, and the calls that lead there. Recursion, calls through pointers
// and frames of unknown size fail the test.
func stack(t *testing.T, graph string) (deepest int, path []string) {
	t.Helper()
	text, err := os.ReadFile(graph)
	if err != nil {
		t.Fatal(err)
	}
	frames, calls := map[string]int{}, map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if m := graphNode.FindStringSubmatch(line); m != nil {
			if frames[m[1]], err = strconv.Atoi(m[2]); err != nil || m[3] != "static" {
				t.Errorf("the frame of %s is %s", m[1], m[3])
			}
		} else if m := graphEdge.FindStringSubmatch(line); m != nil {
			calls[m[1]] = append(calls[m[1]], m[2])
		}
	}
	var below func(name string, above []string) (int, []string)
	below = func(name string, above []string) (int, []string) {
		if name == "__indirect_call" || slices.Contains(above, name) {
			t.Fatalf("%v call %s", above, name)
		}
		above = append(slices.Clone(above), name)
		most, path := 0, []string(nil)
		for _, callee := range calls[name] {
			if size, deeper := below(callee, above); size > most {
				most, path = size, deeper
			}
		}
		return frames[name] + most, append([]string{name}, path...)
	}
	if len(frames) < 20 {
		t.Fatalf("only %d functions in the call graph: %v", len(frames), slices.Sorted(maps.Keys(frames)))
	}
	return below("main", nil)
}

// The C client stays below the memory that it promises, allocates nothing, and
// keeps all of its state in one struct.
func TestMemory(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(source); err != nil { // so that go test knows that the result depends on it
		t.Fatal(err)
	}
	dir := t.TempDir()
	object := filepath.Join(dir, "holdline.o")
	cmd := exec.CommandContext(t.Context(), program(t, "gcc"), "-std=c99", "-Os", "-fno-pie", "-fcallgraph-info=su", "-c", "-o", object, source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program(t, "nm"), "-S", object).Output()
	if err != nil {
		t.Fatal(err)
	}
	static := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 4 && strings.ContainsAny(fields[2], "bBdDC"):
			size, err := strconv.ParseInt(fields[1], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			if fields[3] != "me" {
				t.Errorf("state outside of the struct: %s", line)
			}
			static += int(size)
		case len(fields) == 2 && (strings.Contains(fields[1], "alloc") || strings.HasPrefix(fields[1], "printf") || fields[1] == "free"):
			t.Errorf("it uses %s", fields[1])
		}
	}
	deepest, path := stack(t, filepath.Join(dir, "holdline.ci"))
	t.Logf("%d bytes static, %d of stack (%s)", static, deepest, strings.Join(path, " → "))
	if static == 0 || static > staticBytes || deepest == 0 || deepest > stackBytes {
		t.Errorf("%d bytes static and %d of stack are more than is promised", static, deepest)
	}
}
