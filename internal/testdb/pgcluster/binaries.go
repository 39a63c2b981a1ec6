package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// MinVersion is the oldest major version of PostgreSQL that Holdline supports.
const MinVersion = 15

// errNoServer says what a person can do when no way led to a server.
const errNoServer = `no PostgreSQL %d or later was found, and none could be installed (%w).
Install it (Debian: apt-get install postgresql; macOS: brew install postgresql@17),
or set HOLDLINE_TEST_POSTGRES to the URL of a server where the tests may create databases,
for example postgres://user:password@127.0.0.1:5432/postgres?sslmode=disable`

// binaries returns the folder that holds initdb, pg_ctl and postgres: an
// installed one, else Debian's after installing it, else the one of the
// embedded-postgres module. What takes long is told to progress. With asIs
// nothing is installed.
func binaries(ctx context.Context, progress io.Writer, asIs bool) (string, error) {
	if dir := installed(ctx); dir != "" {
		return dir, nil
	}
	if asIs {
		return "", fmt.Errorf("no PostgreSQL %d or later was found; install it (Debian: apt-get install postgresql; macOS: brew install postgresql@17)", MinVersion)
	}
	unlock, err := lockInstall()
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another process may have installed it while this one waited for the lock.
	if dir := installed(ctx); dir != "" {
		return dir, nil
	}
	aptErr := aptInstall(ctx, progress)
	if dir := installed(ctx); dir != "" {
		return dir, nil
	}
	dir, embeddedErr := embedded(ctx, progress)
	if embeddedErr != nil {
		return "", fmt.Errorf(errNoServer, MinVersion, errors.Join(aptErr, embeddedErr))
	}
	return dir, nil
}

// installed finds the first suitable folder: PATH, then Debian's and
// Homebrew's places, newest version first.
func installed(ctx context.Context) string {
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the only error is a malformed pattern
		slices.SortFunc(found, func(a, b string) int { return versionInPath(b) - versionInPath(a) })
		dirs = append(dirs, found...)
	}
	for _, dir := range dirs {
		if usable(ctx, dir) {
			return dir
		}
	}
	return ""
}

var digits = regexp.MustCompile(`[0-9]+`)

func versionInPath(path string) int {
	n, _ := strconv.Atoi(digits.FindString(path))
	return n
}

// usable reports whether dir holds all three programs in a version we support.
func usable(ctx context.Context, dir string) bool {
	for _, name := range []string{"initdb", "pg_ctl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	return err == nil && versionInPath(string(out)) >= MinVersion
}

// lockInstall makes processes that would install a server do it one by one.
func lockInstall() (unlock func(), err error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("holdline-install-%d.lock", os.Getuid()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}

func aptInstall(ctx context.Context, progress io.Writer) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return errors.New("apt-get needs root")
	}
	fmt.Fprintln(progress, "installing PostgreSQL by apt-get …")
	for _, args := range [][]string{
		{"update"},
		{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, tail(out))
		}
	}
	return nil
}

// embedded downloads the server that the embedded-postgres module packages, and
// returns its folder. That module can only start a server, not just unpack it,
// and starting fails for root; the programs are in place either way.
func embedded(ctx context.Context, progress io.Writer) (string, error) {
	cache, err := embeddedCache()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "unpacked", "bin")
	if usable(ctx, bin) {
		return bin, nil
	}
	fmt.Fprintln(progress, "downloading PostgreSQL by the embedded-postgres module …")
	scratch, err := os.MkdirTemp(cache, "first-start-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a leftover in the cache folder does no harm
	port, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Port(uint32(port)).
		CachePath(cache).
		BinariesPath(filepath.Join(cache, "unpacked")).
		RuntimePath(scratch).
		DataPath(filepath.Join(scratch, "data")).
		Logger(io.Discard))
	if err = server.Start(); err == nil {
		err = server.Stop()
	}
	http.DefaultClient.CloseIdleConnections() // the module downloads through it, and leaves one open
	if !usable(ctx, bin) {
		return "", fmt.Errorf("embedded-postgres: %w", err)
	}
	return bin, nil
}

// embeddedCache is a folder that the server's user can read as well.
func embeddedCache() (string, error) {
	dir := "/var/cache/holdline-postgres"
	if os.Getuid() != 0 {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "holdline-postgres")
	}
	return dir, os.MkdirAll(dir, 0o755) //nolint:gosec // the server's user must get in
}

// tail returns the last lines of a program's output, for an error message.
func tail(out []byte) []byte {
	const limit = 2000
	if len(out) > limit {
		return append([]byte("…"), out[len(out)-limit:]...)
	}
	return out
}
