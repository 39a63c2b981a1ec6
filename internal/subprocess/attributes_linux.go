package subprocess

import "syscall"

// Attributes make the kernel kill the child when its parent dies without having
// cleaned up, and keep the terminal's Ctrl-C from it.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
