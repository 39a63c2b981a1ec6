//go:build linux

package fire

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdline/internal/harness"
)

// stuck is a client of a stream that stops reading its socket.
type stuck struct {
	conn *net.TCPConn
	got  []byte // what it has read
}

// openStuck opens a stream behind a cursor and reads its beginning, to be sure
// that it has begun, then nothing more. The kernel may hold little for it.
func openStuck(t *testing.T, c *harness.Client, conversation, cursor string) *stuck {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10)
		})
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	address := strings.TrimPrefix(c.URL, "http://")
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &stuck{conn: conn.(*net.TCPConn)}
	request := fmt.Sprintf("GET /v1/conversations/%s/stream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nLast-Event-ID: %s\r\n\r\n",
		conversation, address, c.Token, cursor)
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var buf [1024]byte
	for !bytes.Contains(s.got, []byte("event: heartbeat")) {
		n, err := conn.Read(buf[:])
		if err != nil {
			t.Fatalf("the stream does not begin: %v\n%s", err, s.got)
		}
		s.got = append(s.got, buf[:n]...)
	}
	return s
}

// reset reports whether the server has cut the connection, without reading from it.
func (s *stuck) reset() bool {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return false
	}
	var code int
	controlErr := raw.Control(func(fd uintptr) {
		code, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	})
	return controlErr == nil && err == nil && syscall.Errno(code) == syscall.ECONNRESET
}

// cuts watches stuck readers until all of them are cut.
type cuts struct {
	left        []*stuck
	first, last time.Time // when a cut was seen
}

// look returns true when all are cut.
func (c *cuts) look() bool {
	had := len(c.left)
	c.left = slices.DeleteFunc(c.left, (*stuck).reset)
	if len(c.left) < had {
		c.last = time.Now()
		if c.first.IsZero() {
			c.first = c.last
		}
	}
	return len(c.left) == 0
}

// rest reads what the kernel still holds, and returns the seqs of the whole
// frames that came, and the cursor of the last.
func (s *stuck) rest(t *testing.T) (seqs []int64, cursor string) {
	t.Helper()
	left, _ := io.ReadAll(s.conn) // ends with the reset
	_, body, _ := bytes.Cut(append(s.got, left...), []byte("\r\n\r\n"))
	for {
		frame, after, whole := bytes.Cut(body, []byte("\n\n"))
		if !whole {
			return seqs, cursor
		}
		body = after
		_, id, hasID := bytes.Cut(frame, []byte("\nid: "))
		if !hasID {
			continue
		}
		cursor = string(id)
		seqs = append(seqs, placeOf(t, cursor))
	}
}

// resident is the memory of a process that is in RAM, in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS in the status of the process")
	return 0
}
