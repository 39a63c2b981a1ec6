package e2e

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdline/internal/harness"
)

func dial(t *testing.T, s *harness.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func TestSlowHeadersAreCut(t *testing.T) {
	s := harness.Start(t, harness.Config{Args: []string{"--read-header-timeout=200ms"}})
	conn := dial(t, s)
	write(t, conn, "GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	if b, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) || strings.HasPrefix(string(b), "HTTP/1.1 2") {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestSlowBodiesAreAnswered408(t *testing.T) {
	s := harness.Start(t, harness.Config{Args: []string{"--body-timeout=200ms"}})
	conn := dial(t, s)
	write(t, conn, "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"handle\":")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := harness.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
	if a.Status != http.StatusRequestTimeout || a.Problem().Code != "timeout" || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %v: %s", a.Status, a.Header, a.Body)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	s := harness.Start(t, harness.Config{Args: []string{"--idle-timeout=1s"}})
	conn := dial(t, s)
	write(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	s := harness.Start(t, harness.Config{Args: []string{"--max-header-bytes=4KiB"}})
	conn := dial(t, s)
	write(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 12<<10)+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}
