// Command cmd runs a command with a throw-away PostgreSQL server beside it:
//
//	go run ./internal/testdb/cmd go test ./...
//
// The command finds the server's URL in HOLDLINE_TEST_POSTGRES. The server is
// removed when the command ends, also when it is killed. If the variable is
// set already, the command runs with that server. Exits with the command's status.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"holdline/internal/testdb"
	"holdline/internal/testdb/pgcluster"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testdb:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	if len(args) == 0 {
		return 2, errors.New("name the command to run")
	}
	// The terminal's Ctrl-C reaches the command by itself; this process stays to
	// clean up after it.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if os.Getenv(testdb.Env) == "" {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		cluster, err := pgcluster.New(ctx, pgcluster.Options{Progress: os.Stderr})
		if err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, cluster.Close()) }()
		if err := os.Setenv(testdb.Env, cluster.URL("postgres")); err != nil {
			return 1, err
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	go func() {
		for s := range signals {
			if s != syscall.SIGINT {
				_ = cmd.Process.Signal(s) // it may have ended already
			}
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}
