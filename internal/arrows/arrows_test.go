// Package arrows tests which package may import which: cmd → api → poller →
// store, and nobody upwards.
package arrows

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"holdline/internal/harness"
)

const module = "holdline"

// rule is what the packages under a folder may import of this module; an entry
// that ends in /... means everything below.
type rule struct {
	folder string
	may    []string
}

// rules has an entry for every folder that holds packages; the first one that
// fits counts. Everybody may import the root package, which is the contract.
var rules = []rule{
	{"migrations", nil},
	// The backends and the contract suite import the store, never the reverse.
	{"store/sqlite", []string{"store", "migrations", "internal/planted"}},
	{"store/postgres", []string{"store", "migrations", "internal/planted"}},
	{"store/storetest", []string{"store", "internal/testdb"}},
	{"store", []string{"internal/planted"}},
	{"poller", []string{"store", "internal/eventjson", "internal/planted"}},
	{"api", []string{"store", "poller", "internal/eventjson", "internal/etag", "internal/planted"}},
	{"web", []string{"internal/etag"}},
	// Small shared parts, and support for tests.
	{"internal/arrows", nil},
	{"internal/etag", nil},
	{"internal/planted", nil},
	{"internal/subprocess", nil},
	{"internal/eventjson", []string{"store"}},
	{"internal/contract", nil},
	{"internal/testdb", []string{"internal/testdb/..."}},
	{"internal/harness", []string{"internal/subprocess", "internal/contract", "internal/testdb"}},
	{"internal/fire", nil},    // tests only
	{"internal/e2e", nil},     // tests only
	{"internal/foreign", nil}, // tests only
	{"internal/browser", []string{"internal/harness"}},
	{"internal/pages", []string{"internal/browser", "internal/harness"}},
	{"internal/devices", nil},  // tests only
	{"internal/together", nil}, // tests only
	{"internal/bench", []string{"store", "store/sqlite", "store/postgres", "internal/subprocess"}},
	{"internal/torture/history", nil},
	{"internal/torture/check", []string{"internal/torture/history"}},
	{"internal/torture/netfault", nil},
	{"internal/torture", []string{"internal/torture/...", "internal/subprocess"}},
	// What users build on imports nothing of ours; what tries it may use the SDK and the support for tests.
	{"sdk/go", nil},
	{"sdk/conformance", []string{"sdk/go", "sdk/conformance", "internal/subprocess", "internal/torture", "internal/torture/netfault"}},
	{"sdk/typescript", nil},
	{"internal/chat", []string{"sdk/go"}},
	{"cmd", []string{"api", "poller", "store", "store/...", "web", "internal/..."}},
}

// banned is what a folder may not import from elsewhere.
var banned = map[string][]string{
	"store":  {"net/http", "github.com/labstack/echo/v4"},
	"poller": {"net/http", "github.com/labstack/echo/v4", "github.com/jmoiron/sqlx"},
	"api":    {"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq", "modernc.org/sqlite"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	harness.DependOnSources(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []pkg
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func TestArrowsPointOneWay(t *testing.T) {
	packages := list(t)
	if len(packages) < 5 {
		t.Fatalf("only %d packages found", len(packages))
	}
	for _, p := range packages {
		path, ok := strings.CutPrefix(p.ImportPath, module+"/")
		if !ok {
			continue // the root package
		}
		i := slices.IndexFunc(rules, func(r rule) bool { return under(path, r.folder) })
		if i < 0 {
			t.Errorf("%s: no rule says what it may import; add one, and see that the arrows still point one way", path)
			continue
		}
		for _, imported := range p.Imports {
			if wrong := violation(rules[i], path, imported); wrong != "" {
				t.Errorf("%s imports %s: %s", path, imported, wrong)
			}
		}
	}
}

// violation says what is wrong with path importing imported; empty if nothing is.
func violation(r rule, path, imported string) string {
	own, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		for folder, names := range banned {
			if under(path, folder) && slices.Contains(names, imported) {
				return folder + " does without it"
			}
		}
		return ""
	}
	for _, allowed := range r.may {
		if folder, all := strings.CutSuffix(allowed, "/..."); own == allowed || all && under(own, folder) {
			return ""
		}
	}
	return "the arrow points the wrong way"
}

func TestViolationsAreFound(t *testing.T) {
	find := func(path, imported string) string {
		i := slices.IndexFunc(rules, func(r rule) bool { return under(path, r.folder) })
		return violation(rules[i], path, imported)
	}
	for _, wrong := range [][2]string{
		{"store", "holdline/poller"}, {"store", "holdline/store/sqlite"}, {"store/sqlite", "holdline/store/postgres"},
		{"poller", "holdline/api"}, {"poller", "net/http"}, {"api", "database/sql"}, {"api", "holdline/internal/bench"},
		{"internal/eventjson", "holdline/api"}, {"sdk/go", "holdline/internal/contract"}, {"sdk/conformance", "holdline/store"},
	} {
		if find(wrong[0], wrong[1]) == "" {
			t.Errorf("%s may import %s", wrong[0], wrong[1])
		}
	}
	for _, right := range [][2]string{
		{"store/sqlite", "holdline/store"}, {"api", "holdline/store"}, {"api", "net/http"}, {"cmd/holdline", "holdline/internal/bench"},
		{"internal/testdb/cmd", "holdline/internal/testdb/pgcluster"},
	} {
		if wrong := find(right[0], right[1]); wrong != "" {
			t.Errorf("%s may not import %s: %s", right[0], right[1], wrong)
		}
	}
}
