package foreign

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdline/internal/harness"
)

// patience bounds every wait for something that must happen soon.
const patience = time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait more than they compute: for clients that come back after
	// the time that `retry:` says.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if made != "" {
			_ = os.RemoveAll(made) // it lies in the folder for temporary files
		}
		os.Exit(status)
	}))
}

// minNode is the oldest Node.js that the EventSource of npm is made for.
const minNode = 20

// nodeProgram is a Node.js of at least that age: the system's, or the one that
// npm itself brings to systems with an older one.
var nodeProgram = sync.OnceValues(func() (string, error) {
	path, err := harness.Program("node")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("node --version: %w", err)
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "v%d.", &major); err == nil && major >= minNode {
		return path, nil
	}
	npx, err := harness.Program("npx")
	if err != nil {
		return "", err
	}
	out, err = exec.Command(npx, "--yes", "--package=node@22", "--", "sh", "-c", "command -v node").Output()
	if err != nil {
		return "", fmt.Errorf("the system's Node.js is version %d, and npx brought no newer one: %w", major, err)
	}
	return string(bytes.TrimSpace(out)), nil
})

// made is what nodeFolder has made.
var made string

// nodeFolder is a copy of the folder node with its packages installed, at the
// versions and with the checksums of its lock file.
var nodeFolder = sync.OnceValues(func() (dir string, err error) {
	if _, err := nodeProgram(); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "holdline-foreign-*"); err != nil {
		return "", err
	}
	made = dir
	if err := os.CopyFS(dir, os.DirFS("node")); err != nil {
		return dir, err
	}
	return dir, harness.InstallPackages(context.Background(), dir)
})
