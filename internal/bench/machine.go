package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU         string `json:"cpu"` // model name; empty where the system does not tell
	Cores       int    `json:"cores"`
	MemoryMiB   int64  `json:"memory_mib"` // 0 where the system does not tell
	OS          string `json:"os"`
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`
	Descriptors uint64 `json:"descriptors"` // open files one process may have
}

func describeMachine() Machine {
	return Machine{
		CPU:         procField("/proc/cpuinfo", "model name"),
		Cores:       runtime.NumCPU(),
		MemoryMiB:   kibibytes(procField("/proc/meminfo", "MemTotal")) / 1024,
		OS:          runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:      readTrimmed("/proc/sys/kernel/osrelease"),
		Go:          runtime.Version(),
		Descriptors: descriptorLimit(),
	}
}

// Disk is where a database file lies, and what its durability costs there.
type Disk struct {
	FileSystem string `json:"file_system"` // type and device; empty where the system does not tell
	// FsyncP50 is the median time to append 4 KiB to a file and fsync it: what a
	// commit cannot undercut.
	FsyncP50 float64 `json:"append_4k_fsync_p50_ms"`
}

func describeDisk(dir string) (Disk, error) {
	d := Disk{FileSystem: fileSystemOf(dir)}
	var err error
	d.FsyncP50, err = probeFsync(dir, 200)
	return d, err
}

// probeFsync times n appends of 4 KiB, each followed by fsync.
func probeFsync(dir string, n int) (p50 float64, err error) {
	f, err := os.CreateTemp(dir, "fsync-probe-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	times := make(samples, 0, n)
	for range n {
		t := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(t))
	}
	return times.latency().P50, nil
}

// fileSystemOf names the file system that dir is on, from the longest mount
// point above it. Empty where there is no /proc.
func fileSystemOf(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	return matchMount(mounts, dir)
}

// matchMount finds dir's mount in the text of /proc/self/mountinfo (proc(5)):
// … mount-point options [tags] - type source options. Of two on one mount
// point the later one is on top.
func matchMount(mountinfo []byte, dir string) string {
	best, found := -1, ""
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 2 {
			continue
		}
		point := left[4]
		under := point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
		if under && len(point) >= best {
			best, found = len(point), right[0]+" on "+right[1]
		}
	}
	return found
}

// procField returns the first value of a `name : value` line of a /proc file;
// empty if there is none.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read from
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kibibytes parses "1234 kB"; 0 if it is not that.
func kibibytes(value string) int64 {
	digits, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func readTrimmed(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// residentKiB returns a process's resident set.
func residentKiB(pid int) (int64, error) {
	n := kibibytes(procField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS"))
	if n == 0 {
		return 0, errors.New("the resident memory of the server cannot be read: it needs Linux's /proc")
	}
	return n, nil
}

// cpuTime returns the CPU time that a process has used, to 10 ms; 0 where the
// system does not tell. It is for the report only.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The command's name stands in parentheses and may hold anything: count
	// fields from behind it. utime and stime are fields 14 and 15 (proc(5)),
	// in ticks of 1/100 s on every platform that Go runs on.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// ownCPUTime is cpuTime of this process, the load client.
func ownCPUTime() time.Duration { return cpuTime(os.Getpid()) }
