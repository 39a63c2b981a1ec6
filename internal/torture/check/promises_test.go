package check

import (
	"os"
	"strings"
	"testing"
)

// What is said of the promises is complete, and docs/torture.md says the same.
func TestEveryPromiseIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../../../docs/torture.md")
	if err != nil {
		t.Fatal(err)
	}
	described := map[Promise]bool{}
	for _, p := range Promises {
		if described[p.Name] {
			t.Errorf("%s is described twice", p.Name)
		}
		described[p.Name] = true
		look := strings.ToUpper(p.Look[:1]) + p.Look[1:]
		if row := "| `" + string(p.Name) + "` | " + p.Text + " | " + look + ". |"; !strings.Contains(string(text), row) {
			t.Errorf("docs/torture.md lacks the line %q", row)
		}
	}
	for _, b := range broken {
		for _, p := range b.want {
			if !described[p] {
				t.Errorf("%s is not described", p)
			}
		}
	}
}
