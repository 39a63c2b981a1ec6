package conformance

import "syscall"

// childAttributes makes the kernel kill the server when this process dies
// without having cleaned up.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
