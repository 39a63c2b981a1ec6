package pgcluster

import (
	"context"
	"errors"
	"os"
)

// watchdogScript waits until its standard input ends, which is when the process
// that holds the other end has gone, for whatever reason. It then stops the
// server, if one runs, and removes everything. The second removal is for a
// server that was just being started and wrote on while the first one ran.
const watchdogScript = `
cat >/dev/null
"$1" stop --mode=immediate --wait --timeout=20 --silent --pgdata="$2/data" >/dev/null 2>&1
rm -rf "$2" && exit
sleep 1
"$1" stop --mode=immediate --wait --timeout=20 --silent --pgdata="$2/data" >/dev/null 2>&1
rm -rf "$2"
`

func (c *Cluster) startWatchdog() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	// It outlives this process by design, so no context ends it.
	cmd := c.command(context.Background(), "/bin/sh", "-c", watchdogScript, "holdline-watchdog", c.program("pg_ctl"), c.dir)
	cmd.Dir = "/"
	cmd.Stdin = read
	if err := cmd.Start(); err != nil {
		return errors.Join(err, read.Close(), write.Close())
	}
	c.watchdog, c.leash = cmd, write
	return read.Close()
}

// Close stops the server, removes its directory and returns when both are done.
func (c *Cluster) Close() error {
	if c.leash == nil {
		return os.RemoveAll(c.dir)
	}
	err := errors.Join(c.leash.Close(), c.watchdog.Wait())
	c.leash = nil
	if err != nil {
		return err
	}
	return os.RemoveAll(c.dir) // there already, unless the watchdog was killed
}
