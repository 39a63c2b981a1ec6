package sqlite

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock marks the file at path as served by this process, by an flock on a file
// beside it that the kernel releases when the process ends however it ends. It
// fails when another process holds it. Commands that only write now and then
// do not take it.
func Lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is being served by another holdline process; stop it first, or use PostgreSQL for several servers", path)
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
