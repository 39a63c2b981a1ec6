//go:build !linux

package bench

import (
	"net"
	"os/exec"
)

// descriptorLimit returns 0: not told.
func descriptorLimit() uint64 { return 0 }

// needDescriptors leaves it at what Go does by itself: raise the soft limit to
// the hard one. A limit that is too low shows when a connection is refused.
func needDescriptors(uint64) error { return nil }

// endWithParent has no portable means: a child whose parent was killed has to
// be ended by hand.
func endWithParent(*exec.Cmd) {}

// rawWriter returns a function that writes all of b to the connection.
func rawWriter(conn net.Conn) (func(b []byte) error, error) {
	return func(b []byte) error {
		_, err := conn.Write(b)
		return err
	}, nil
}
