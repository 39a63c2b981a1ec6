package pgcluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// User is the superuser of every cluster.
const User = "holdline"

// Options tune a Cluster; the zero value will do.
type Options struct {
	// Progress is told about what takes long (an installation); nil for nothing.
	Progress io.Writer
	// AsIs takes a server that is installed, and installs none.
	AsIs bool
	// Settings go into postgresql.conf, over the defaults.
	Settings map[string]string
	// InitArgs are further arguments of initdb.
	InitArgs []string
}

// Cluster is one throw-away PostgreSQL server. Its methods are for one
// goroutine at a time.
type Cluster struct {
	dir        string // holds data/, log and the socket; removed at the end
	bin        string
	port       int
	password   string
	credential *syscall.Credential // whom the server runs as; nil: the caller
	watchdog   *exec.Cmd
	leash      *os.File // the watchdog acts when this closes
}

// New makes and starts a cluster. Close removes it; so does the end of this process.
func New(ctx context.Context, o Options) (c *Cluster, err error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	bin, err := binaries(ctx, o.Progress, o.AsIs)
	if err != nil {
		return nil, err
	}
	credential, err := serverUser()
	if err != nil {
		return nil, err
	}
	c = &Cluster{bin: bin, password: rand.Text(), credential: credential}
	// Not t.TempDir nor TMPDIR: a socket's path must stay under about 100 bytes,
	// and the server's user must be able to walk to it.
	if c.dir, err = os.MkdirTemp("/tmp", "holdline-pg-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	if credential != nil {
		if err = os.Chown(c.dir, int(credential.Uid), int(credential.Gid)); err != nil {
			return c, err
		}
	}
	if err = c.startWatchdog(); err != nil {
		return c, err
	}
	if err = c.init(ctx, o); err != nil {
		return c, err
	}
	return c, c.firstStart(ctx)
}

// serverUser is whom the server runs as: nil (the caller) unless that is root.
func serverUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")
}

// command prepares a program that runs as the server's user, out of reach of
// the terminal's Ctrl-C.
func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential, Setsid: true}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "LC_ALL=C", "TZ=UTC"}
	return cmd
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// init makes the data directory.
func (c *Cluster) init(ctx context.Context, o Options) error {
	passwords := filepath.Join(c.dir, "password")
	if err := os.WriteFile(passwords, []byte(c.password+"\n"), 0o644); err != nil { //nolint:gosec // the folder is 0700
		return err
	}
	if err := os.Chmod(passwords, 0o644); err != nil { //nolint:gosec // a strict umask would keep the server's user out
		return err
	}
	// Plain passwords, over loopback and for these users alone: a hash with its
	// thousands of rounds would cost milliseconds a connection.
	args := []string{
		"--pgdata=" + c.data(), "--username=" + User, "--pwfile=" + passwords, "--auth=password",
		"--encoding=UTF8", "--no-sync", "--no-instructions",
	}
	args = append(args, o.InitArgs...)
	out, err := c.command(ctx, c.program("initdb"), append(args, "--locale=C.UTF-8")...).CombinedOutput()
	if err != nil {
		// A system without C.UTF-8 has C, which sorts the same way.
		if rmErr := os.RemoveAll(c.data()); rmErr != nil {
			return rmErr
		}
		out, err = c.command(ctx, c.program("initdb"), append(args, "--locale=C")...).CombinedOutput()
	}
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, tail(out))
	}
	return c.configure(o.Settings)
}

func (c *Cluster) program(name string) string { return filepath.Join(c.bin, name) }

func (c *Cluster) configure(settings map[string]string) error {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": c.dir,
		"max_connections":         "300",
		"shared_buffers":          "64MB",
		"fsync":                   "on",
		"synchronous_commit":      "on",
		"full_page_writes":        "on",
		"log_checkpoints":         "off",
		"timezone":                "UTC",
	}
	for name, value := range settings {
		all[name] = value
	}
	f, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for name, value := range all {
		fmt.Fprintf(f, "%s = '%s'\n", name, value)
	}
	return f.Close()
}

// firstStart looks for a free port until the server has one.
func (c *Cluster) firstStart(ctx context.Context) (err error) {
	const tries = 5
	for range tries {
		if c.port, err = freePort(ctx); err != nil {
			return err
		}
		if err = c.Start(ctx); err == nil {
			return nil
		}
	}
	return err
}

// freePort returns a port below the range from which systems take the ports of
// outgoing connections, so that it is still free when the server restarts.
func freePort(ctx context.Context) (port int, err error) {
	const tries = 100
	var listen net.ListenConfig
	for range tries {
		port = 15000 + mathrand.IntN(17000)
		var l net.Listener
		if l, err = listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

// Start starts the server, for example after Immediate, and returns when it
// accepts connections: at the same port as before.
func (c *Cluster) Start(ctx context.Context) error {
	log := filepath.Join(c.dir, "log")
	out, err := c.command(ctx, c.program("pg_ctl"), "start", "--wait", "--timeout=60", "--silent",
		"--pgdata="+c.data(), "--log="+log, "--options=-p "+strconv.Itoa(c.port)).CombinedOutput()
	if err != nil {
		lines, _ := os.ReadFile(log) // the error at hand says more than this one would
		return fmt.Errorf("pg_ctl start: %w\n%s%s", err, tail(out), tail(lines))
	}
	return nil
}

// Immediate stops the server as a crash would: no checkpoint, every connection
// cut, recovery from the log at the next Start. It returns when the server is gone.
func (c *Cluster) Immediate(ctx context.Context) error { return c.stop(ctx, "immediate") }

// Stop shuts the server down in order, cutting every connection.
func (c *Cluster) Stop(ctx context.Context) error { return c.stop(ctx, "fast") }

func (c *Cluster) stop(ctx context.Context, mode string) error {
	out, err := c.command(ctx, c.program("pg_ctl"), "stop", "--wait", "--timeout=60", "--silent",
		"--mode="+mode, "--pgdata="+c.data()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_ctl stop: %w\n%s", err, tail(out))
	}
	return nil
}

// URL names a database of this cluster, over TCP on the loopback address.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(User, c.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// SocketURL names a database of this cluster, over its unix socket.
func (c *Cluster) SocketURL(database string) string {
	u := url.URL{
		Scheme: "postgres",
		User:   url.UserPassword(User, c.password),
		Path:   "/" + database,
		RawQuery: url.Values{
			"host": {c.dir}, "port": {strconv.Itoa(c.port)}, "sslmode": {"disable"},
		}.Encode(),
	}
	return u.String()
}

// Socket is the path of the unix socket.
func (c *Cluster) Socket() string {
	return filepath.Join(c.dir, ".s.PGSQL."+strconv.Itoa(c.port))
}

// Pid is the process id of the running server.
func (c *Cluster) Pid() (int, error) {
	b, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(digits.FindString(string(b)))
}

// Log returns what the server has logged so far.
func (c *Cluster) Log() ([]byte, error) { return os.ReadFile(filepath.Join(c.dir, "log")) }
