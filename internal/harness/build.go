package harness

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Binary builds the program, if what is there is not up to date, and returns
// its path. It stays for the next test process.
func Binary(tb testing.TB) string { return binary(tb, raceDetector) }

// Plain is Binary without the race detector, for tests of what calls the server.
func Plain(tb testing.TB) string { return binary(tb, false) }

// Planted is Binary for a program in which faults can be switched on; see
// internal/planted. It is without the race detector.
func Planted(tb testing.TB) string {
	tb.Helper()
	path, err := buildPlanted()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func binary(tb testing.TB, race bool) string {
	tb.Helper()
	build := buildPlain
	if race {
		build = buildRace
	}
	path, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

var (
	buildPlain = sync.OnceValues(func() (string, error) { return build("holdline") })
	buildRace  = sync.OnceValues(func() (string, error) { return build("holdline-race", raceFlags...) })

	buildPlanted = sync.OnceValues(func() (string, error) { return build("holdline-planted", "-tags", "planted") })
)

// raceFlags are those of the Makefile, so that its build is the same.
var raceFlags = []string{
	"-race",
	"-gcflags=modernc.org/sqlite/lib=-race=false",
	"-gcflags=golang.org/x/crypto/argon2=-race=false",
	"-gcflags=golang.org/x/crypto/blake2b=-race=false",
}

// build puts the program into a cache folder of this clone. Test processes
// build one by one: go build leaves a file alone that is up to date, and
// replaces it as a whole otherwise, so a running one is never disturbed.
func build(name string, flags ...string) (path string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	if err := lookAtSources(root); err != nil {
		return "", err
	}
	dir, err := cacheDir(root)
	if err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // closing gives the lock back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	path = filepath.Join(dir, name)
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	cmd := exec.CommandContext(context.Background(), "go", append(args, "./cmd/holdline")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// moduleRoot finds the folder of go.mod above the test's.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the test's folder")
		}
		dir = parent
	}
}

func cacheDir(root string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	clone := fnv.New64a()
	_, _ = clone.Write([]byte(root)) // never fails
	dir := filepath.Join(base, "holdline", "test", fmt.Sprintf("%016x", clone.Sum64()))
	return dir, os.MkdirAll(dir, 0o700)
}
