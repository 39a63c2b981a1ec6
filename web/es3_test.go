package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holdline/internal/harness"
)

// acornVersion is the parser, of a fixed version, that npx brings.
const acornVersion = "acorn@8.15.0"

// acorn is the path of its module, where npx keeps it.
var acorn = sync.OnceValues(func() (string, error) {
	npx, err := harness.Program("npx")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(npx, "--yes", "--prefer-offline", "--package="+acornVersion, "--", "sh", "-c", "command -v acorn").Output()
	if err != nil {
		return "", fmt.Errorf("npx could not bring %s; it needs the npm registry, the first time: %w", acornVersion, err)
	}
	program, err := filepath.EvalSymlinks(string(bytes.TrimSpace(out)))
	return filepath.Join(filepath.Dir(program), "..", "dist", "acorn.js"), err
})

// parser parses a list of scripts as ECMAScript 3, in which a reserved word may
// not name a property either ("as in Internet Explorer's old parser").
const parser = `
const acorn = require(process.argv[1])
process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0)).map((source) => {
  try {
    return {tree: acorn.parse(source, {ecmaVersion: 3, allowReserved: 'never'})}
  } catch (e) {
    return {error: e.message}
  }
})))`

func TestTheScriptIsECMAScript3(t *testing.T) {
	source := legacyScript()
	for _, fault := range faults(t, string(source))[0] {
		t.Error(fault)
	}
	if n := bytes.Count(source, []byte("catch(")); n != 1 {
		t.Errorf("%d catches: see attempt in json.js", n)
	}
	for i, b := range source {
		if b >= 0x80 || b < ' ' && b != '\n' && b != '\t' {
			t.Errorf("byte %#x at %d: the script must not depend on a charset", b, i)
		}
	}
}

func TestWhatIsNoECMAScript3IsFound(t *testing.T) {
	wrong := []string{
		"let a = 1", "a = () => 1", "a = `x`", "a = {b: 1,}", "a = {get b() { return 1; }}", "a = 2 ** 3", "try {} catch {}",
		"a = {b}", "do a++; while (b) c()", "for (a of b) c()", "class A {}", "a = [1,]", "a = [1 , ]", "a.delete(b)", "a.catch(b)",
		"a = {default: 1}", "a = {class: 1}", "a = {'b': {int: 1}}", "var short = 1", "a?.b", "a ?? b", "/a/y.test(b) && a.throw",
	}
	right := []string{
		`a = {b: 1, 'default': 2}; a['delete'](b); do a++; while (b); for (c in a) try { d(); } catch (e) {}`,
		`a = [1, [2, 3]]; b = "a,]"; c = [",", b]`,
	}
	found := faults(t, append(wrong, right...)...)
	for i, source := range wrong {
		if len(found[i]) == 0 {
			t.Errorf("%s is let through", source)
		}
	}
	for i, source := range right {
		if f := found[len(wrong)+i]; len(f) > 0 {
			t.Errorf("%s: %v", source, f)
		}
	}
}

// faults says of each script what ECMAScript 3 forbids and what Internet Explorer
// reads otherwise.
func faults(t *testing.T, sources ...string) [][]string {
	t.Helper()
	node, err := harness.Program("node")
	module, acornErr := acorn()
	if err = errors.Join(err, acornErr); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "-e", parser, module)
	given, err := json.Marshal(sources)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(given)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", acornVersion, err, &stderr)
	}
	var parsed []struct {
		Tree  any
		Error string
	}
	if err := json.Unmarshal(out, &parsed); err != nil || len(parsed) != len(sources) {
		t.Fatalf("%s: %v: %s", acornVersion, err, out)
	}
	found := make([][]string, len(sources))
	for i, p := range parsed {
		if p.Error != "" {
			found[i] = []string{p.Error}
		} else {
			found[i] = lastCommas(p.Tree, sources[i])
		}
	}
	return found
}

// lastCommas finds arrays with a comma behind their last element: Internet
// Explorer before 9 counts one more.
func lastCommas(tree any, source string) (found []string) {
	switch node := tree.(type) {
	case []any:
		for _, child := range node {
			found = append(found, lastCommas(child, source)...)
		}
	case map[string]any:
		if node["type"] == "ArrayExpression" {
			inside := source[int(node["start"].(float64)) : int(node["end"].(float64))-1]
			if strings.HasSuffix(strings.TrimRight(inside, " \t\r\n"), ",") {
				found = append(found, fmt.Sprintf("a comma at the end of %s]", inside))
			}
		}
		for _, child := range node {
			found = append(found, lastCommas(child, source)...)
		}
	}
	return found
}

// Old devices are slow to fetch, and have little memory.
func TestThePageIsSmall(t *testing.T) {
	const most = 25 << 10
	size := 0
	for _, f := range Legacy() {
		t.Logf("%s: %d bytes", f.Path, len(f.content))
		size += len(f.content)
	}
	if size > most {
		t.Errorf("the legacy page has %d bytes; it may have %d", size, most)
	}
	parts, err := filepath.Glob("legacy/*.js")
	if err != nil || len(parts) != len(legacyScripts) {
		t.Errorf("%d scripts are there, %d are joined: %v", len(parts), len(legacyScripts), err)
	}
}
