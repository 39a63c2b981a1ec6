package harness

import "syscall"

// childAttributes makes the kernel kill the server when the test process dies
// without having cleaned up.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
