//go:build !linux

package subprocess

import "syscall"

// Attributes keep the terminal's Ctrl-C from the child.
func Attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
