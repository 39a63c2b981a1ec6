package holdline_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The README's snippets are in the examples, word for word, and so they compile.
func TestTheReadmesSnippetsAreExamples(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	examples := read("example_test.go")
	flat := func(code string) string {
		lines := strings.Split(code, "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	snippets := regexp.MustCompile("(?s)<!-- snippet: (\\w+) -->\n```go\n(.*?)```").FindAllStringSubmatch(read("README.md"), -1)
	if len(snippets) != 2 {
		t.Fatalf("%d snippets", len(snippets))
	}
	for _, s := range snippets {
		_, example, ok := strings.Cut(examples, "func "+s[1]+"()")
		if !ok || !strings.Contains(flat(example), flat(s[2])) {
			t.Errorf("%s does not have this snippet:\n%s", s[1], s[2])
		}
	}
}
