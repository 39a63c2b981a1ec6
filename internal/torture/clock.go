package torture

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Clock is a wall clock that another process can move: the time of day plus what
// a file says, which both of them map. A server that a run starts takes its times
// from one, so that its clock can be set while it works, without that of the
// machine being touched.
type Clock struct {
	path  string
	file  []byte
	ahead *atomic.Int64 // nanoseconds
}

// OpenClock opens the clock at path, which is made if missing and then right.
func OpenClock(path string) (*Clock, error) {
	const size = int(unsafe.Sizeof(atomic.Int64{}))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // the mapping stays
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	file, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(errors.New("mapping "+path), err)
	}
	// A mapping begins at a page, so it is aligned.
	return &Clock{path: path, file: file, ahead: (*atomic.Int64)(unsafe.Pointer(unsafe.SliceData(file)))}, nil //nolint:gosec // it is as large as that
}

// Now is the time by this clock. Like a time of day that was set, it has no
// monotonic part.
func (c *Clock) Now() time.Time {
	return time.Now().Round(0).Add(time.Duration(c.ahead.Load()))
}

// Set makes the clock wrong by ahead, for everybody who has it open.
func (c *Clock) Set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

// Close ends the use of the clock, by this process alone.
func (c *Clock) Close() error { return syscall.Munmap(c.file) }
