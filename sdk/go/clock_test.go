package holdline_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// All waiting goes by the monotonic clock: the SDK's source never takes a time apart, and never gives one to anybody, by which it
// would lose its monotonic reading (package time). So a wall clock that jumps cannot be noticed. The times in events are
// the server's, and looked at nowhere.
func TestTheWallClockHasNoPart(t *testing.T) {
	t.Parallel()
	wall := []string{
		"Unix", "UnixMilli", "UnixMicro", "UnixNano", "Round", "Truncate", "Local", "UTC", "In", "Format", "Parse", "Date", "Clock", "YearDay", "AddDate",
		"WithDeadline", "AcceptedAt", "DeliveredAt", "ReadAt", "ExpiresAt", "CreatedAt",
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".gen.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		looked++
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(wall, s.Sel.Name) {
				if x, ok := s.X.(*ast.Ident); !ok || x.Name != "url" && x.Name != "http" {
					t.Errorf("%s uses %s", name, s.Sel.Name)
				}
			}
			return true
		})
	}
	if looked < 8 {
		t.Errorf("only %d files were looked at", looked)
	}
}
