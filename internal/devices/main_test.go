package devices

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"holdline/internal/harness"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait more than they compute: for clients that come back after
	// a failure.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if made != "" {
			_ = os.RemoveAll(made) // it lies in the folder for temporary files
		}
		os.Exit(status)
	}))
}

// made is the folder that the compiled clients are in.
var made string

var folder = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "holdline-devices-*")
	made = dir
	return dir, err
})

// program finds a program, or has it installed.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := harness.Program(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const source = "../../examples/c/holdline.c"

// build is a way to compile the C client.
type build struct {
	name  string
	flags []string
}

var (
	small     = build{"small", []string{"-Os"}}
	sanitized = build{"sanitized", []string{"-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"}}
	// bytewise reads one byte at a time, so that each place of an answer is one
	// where nothing more has come yet.
	bytewise = build{"bytewise", append([]string{"-DIN_BYTES=1"}, sanitized.flags...)}
)

var (
	compiling sync.Mutex
	compiled  = map[string]string{}
)

// compile compiles the C client, once for each build, and returns the program.
func compile(t *testing.T, b build) string {
	t.Helper()
	gcc := program(t, "gcc")
	if _, err := os.Stat(source); err != nil { // so that go test knows that the result depends on it
		t.Fatal(err)
	}
	dir, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	compiling.Lock()
	defer compiling.Unlock()
	if path := compiled[b.name]; path != "" {
		return path
	}
	path := filepath.Join(dir, b.name)
	args := append([]string{"-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic-errors", "-o", path}, b.flags...)
	cmd := exec.CommandContext(t.Context(), gcc, append(args, source)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc %v: %v\n%s", args, err, out)
	}
	compiled[b.name] = path
	return path
}
