package typescript

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"holdline/internal/harness"
)

// node is the Node.js that runs TypeScript as it stands; npx brings it.
const node = "--package=node@22"

// run runs a program in the copy of this folder that the packages are installed in.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	path, err := harness.Program(name)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// The SDK is checked by the compiler, its generated part is what openapi.yaml
// says, and it passes its tests and the table that all SDKs share, against the
// real server.
func TestTypeScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sdk", "typescript")
	if err := harness.InstallTypeScript(t.Context(), ".", dir); err != nil {
		t.Fatal(err)
	}
	contract, err := os.ReadFile("../../openapi.yaml")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "..", "..", "openapi.yaml"), contract, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Run("generated code is up to date", func(t *testing.T) {
		run(t, dir, nil, "npm", "run", "generate")
		want, err := os.ReadFile("src/schema.gen.ts")
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "src", "schema.gen.ts"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Error("src/schema.gen.ts is not what openapi.yaml says: run make generate")
		}
	})
	t.Run("types", func(t *testing.T) {
		run(t, dir, nil, "npm", "run", "check")
		run(t, dir, nil, "npm", "run", "build", "--", "--noCheck") // it has been
	})
	// These mostly wait.
	t.Run("tabs", func(t *testing.T) {
		t.Parallel()
		testTabs(t, dir)
	})
	t.Run("tabs of a conversation", func(t *testing.T) {
		t.Parallel()
		testTabsOfConversation(t, dir)
	})
	t.Run("tabs that are told", func(t *testing.T) {
		t.Parallel()
		testTabsThatAreTold(t, dir)
	})
	t.Run("tabs that are frozen", func(t *testing.T) {
		t.Parallel()
		testFrozenTabs(t, dir, true)
	})
	t.Run("tabs that are frozen, untold", func(t *testing.T) {
		t.Parallel()
		testFrozenTabs(t, dir, false)
	})
	t.Run("tests", func(t *testing.T) {
		t.Parallel()
		control := filepath.Join(t.TempDir(), "conformance")
		run(t, ".", nil, "go", "build", "-o", control, "../conformance/cmd")
		run(t, dir, []string{"HOLDLINE_CONFORMANCE=" + control, "HOLDLINE_PROGRAM=" + harness.Plain(t)},
			"npx", "--yes", node, "--", "node", "--test", "--test-reporter=spec", "test/*.test.ts")
	})
}
