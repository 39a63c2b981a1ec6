package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"holdline/internal/harness"
)

// acornVersion is the parser, of a fixed version, that npx brings.
const acornVersion = "acorn@8.15.0"

// acorn is where npx keeps it.
var acorn = sync.OnceValues(func() (string, error) {
	npx, err := harness.Program("npx")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(npx, "--yes", "--prefer-offline", "--package="+acornVersion, "--", "sh", "-c", "command -v acorn").Output()
	if err != nil {
		return "", fmt.Errorf("npx could not bring %s; it needs the npm registry, the first time: %w", acornVersion, err)
	}
	return string(bytes.TrimSpace(out)), nil
})

// reserved are the words of ECMA-262, 3rd edition, section 7.5.1 to 7.5.3 and the
// literals, which parsers of its time refuse as names of properties.
var reserved = strings.Fields(`break case catch continue default delete do else finally for function if in instanceof new
	return switch this throw try typeof var void while with abstract boolean byte char class const debugger double enum
	export extends final float goto implements import int interface long native package private protected public short
	static super synchronized throws transient volatile null true false`)

func TestTheScriptIsECMAScript3(t *testing.T) {
	source := legacyScript()
	tree, err := parse(t, source)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults(tree, source) {
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
	for _, wrong := range []string{
		"let a = 1", "a = () => 1", "a = `x`", "a = {b: 1,}", "a = {get b() { return 1; }}", "a = 2 ** 3", "try {} catch {}",
		"a = {b}", "do a++; while (b) c()", "for (a of b) c()", "class A {}", "a = [1,]", "a.delete(b)", "a.catch(b)",
		"a = {default: 1}", "a = {class: 1}", "a = {'b': {int: 1}}",
	} {
		tree, err := parse(t, []byte(wrong))
		if err == nil && len(faults(tree, []byte(wrong))) == 0 {
			t.Errorf("%s is let through", wrong)
		}
	}
	const right = `a = {b: 1, 'default': 2}; a['delete'](b); do a++; while (b); for (c in a) try { d(); } catch (e) {}`
	tree, err := parse(t, []byte(right))
	if err != nil || len(faults(tree, []byte(right))) > 0 {
		t.Errorf("%v, %v for what is right", err, faults(tree, []byte(right)))
	}
}

// place ends what acorn says about a script that it cannot parse.
var place = regexp.MustCompile(`\(\d+:\d+\)\s*$`)

// parse parses a script as ECMAScript 3; the error says where it is none.
func parse(t *testing.T, source []byte) (tree any, err error) {
	t.Helper()
	path, err := acorn()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--ecma3", "--compact")
	cmd.Stdin = bytes.NewReader(source)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if !place.Match(stderr.Bytes()) {
			t.Fatalf("%s: %v\n%s", acornVersion, err, &stderr)
		}
		return nil, fmt.Errorf("%s", &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), &tree); err != nil {
		t.Fatalf("%s: %v", acornVersion, err)
	}
	return tree, nil
}

// faults finds what the grammar allows and old engines do not, or read
// otherwise: reserved words as names, and a comma behind the last element.
func faults(tree any, source []byte) (found []string) {
	switch node := tree.(type) {
	case []any:
		for _, child := range node {
			found = append(found, faults(child, source)...)
		}
	case map[string]any:
		name := ""
		switch node["type"] {
		case "MemberExpression":
			name = identifier(node["property"], node["computed"] == true)
		case "Property":
			name = identifier(node["key"], false)
		case "ArrayExpression":
			if bytes.HasSuffix(bytes.TrimRight(source[:int(node["end"].(float64))-1], " \t\r\n"), []byte(",")) {
				found = append(found, fmt.Sprintf("a comma at the end of the array at %v", node["start"]))
			}
		}
		if slices.Contains(reserved, name) {
			found = append(found, fmt.Sprintf("the property %s at %v", name, node["start"]))
		}
		for _, child := range node {
			found = append(found, faults(child, source)...)
		}
	}
	return found
}

// identifier is the name of an identifier that is written out as a property's.
func identifier(node any, computed bool) string {
	key, ok := node.(map[string]any)
	if !ok || computed || key["type"] != "Identifier" {
		return ""
	}
	name, _ := key["name"].(string)
	return name
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
