//go:build linux

package bench

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"syscall"
)

// descriptorLimit returns how many files this process may have open; 0 if the
// system does not tell.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Cur
}

// needDescriptors sees to it that this process, and the children it starts
// from now on, may have n files open. (Go raises the soft limit to the hard one
// by itself; raising the hard one takes privileges.)
func needDescriptors(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	if limit.Cur >= n {
		return nil
	}
	limit.Cur, limit.Max = n, max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("this needs %d open files, the limit is %d and cannot be raised from here (%w): "+
			"run `ulimit -n %d` first, or ask for fewer readers", n, descriptorLimit(), err, n)
	}
	return nil
}

// endWithParent makes the kernel end a child whose parent was killed.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}

// rawWriter returns a function that writes all of b to the connection by one
// write(2), with nothing of the net package between. The connection must stay
// open while it is used.
func rawWriter(conn net.Conn) (func(b []byte) error, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T has no file descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	if err := raw.Control(func(f uintptr) { fd = int(f) }); err != nil {
		return nil, err
	}
	return func(b []byte) error {
		for {
			n, err := syscall.Write(fd, b)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err == nil && n < len(b) {
				return fmt.Errorf("only %d of %d bytes fit into the socket", n, len(b))
			}
			return err
		}
	}, nil
}
