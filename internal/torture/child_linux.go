package torture

import "syscall"

// childAttributes makes the kernel end a server whose run was killed, and keeps
// the terminal's Ctrl-C from it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
