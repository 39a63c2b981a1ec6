package chat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// writeFile replaces a file durably: it holds the old content or the new, also after a power cut, and the new once
// writeFile has returned.
func writeFile(path string, data []byte) error {
	if err := replaceFile(path, data); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// replaceFile replaces a file as a whole.
func replaceFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync() // before the rename, which else may be on disk before what it names
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncFolder makes what was made, renamed or removed in a folder durable.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// lockFile takes a lock that ends with the process; busy says who else may hold it.
func lockFile(path, busy string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New(busy)
	}
	if err != nil {
		return nil, fmt.Errorf("%w", errors.Join(err, f.Close()))
	}
	return f, nil
}
