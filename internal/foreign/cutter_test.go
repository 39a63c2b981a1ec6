package foreign

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"holdline/internal/harness"
)

// cutter is a proxy that cuts streams off. The address says where: of the
// streams read under /cut/20,700r/… the first ends after 20 bytes of its body,
// the second after 700 by a reset, and the others go on. Everything else passes
// through as it is.
type cutter struct {
	url    string   // one of urls
	urls   []string // several, since a browser has only six connections to each
	target string
	zipped atomic.Bool // streams come compressed to those who ask for it

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // nil once closed
	asked  map[string][]string   // Last-Event-ID of each stream under an address
	polls  chan struct{}         // one for each request that waits
	others map[string]int        // requests that were not for a stream, by method
	group  sync.WaitGroup
}

// newCutter starts a proxy before a server, which may end and come back.
func newCutter(t *testing.T, s *harness.Server) *cutter {
	c := &cutter{
		target: strings.TrimPrefix(s.URL, "http://"), conns: map[net.Conn]struct{}{},
		asked: map[string][]string{}, others: map[string]int{}, polls: make(chan struct{}, 16),
	}
	const addresses = 8
	var servers []*httptest.Server
	for range addresses {
		server := httptest.NewServer(c)
		servers, c.urls = append(servers, server), append(c.urls, server.URL)
	}
	c.url = c.urls[0]
	t.Cleanup(func() {
		c.mu.Lock()
		for conn := range c.conns {
			_ = conn.Close()
		}
		c.conns = nil
		c.mu.Unlock()
		for _, server := range servers {
			server.Close()
		}
		c.group.Wait()
	})
	return c
}

// base is the address of the API under which streams are cut off so.
func (c *cutter) base(limits string) string { return c.url + "/cut/" + limits }

// lastEventIDs returns what each stream under limits was asked to go on behind.
func (c *cutter) lastEventIDs(limits string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked[limits])
}

// cutNow ends every connection.
func (c *cutter) cutNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
}

// count returns how many requests had a method, apart from streams.
func (c *cutter) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.others[method]
}

var cutPath = regexp.MustCompile(`^/cut/([0-9r,]*)(/.*)$`)

// plan finds out how much of an answer may pass (negative: all of it), and
// whether it ends by a reset.
func (c *cutter) plan(r *http.Request) (limit int64, reset bool) {
	m := cutPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		return -1, false
	}
	limits := m[1]
	r.URL.Path = m[2]
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/stream") {
		c.others[r.Method]++
		if r.URL.Query().Get("wait") != "" {
			select {
			case c.polls <- struct{}{}:
			default:
			}
		}
		return -1, false
	}
	n := len(c.asked[limits])
	c.asked[limits] = append(c.asked[limits], r.Header.Get("Last-Event-ID"))
	all := strings.Split(limits, ",")
	if n >= len(all) || all[n] == "" {
		return -1, false
	}
	number, reset := strings.CutSuffix(all[n], "r")
	limit, _ = strconv.ParseInt(number, 10, 64) // digits, as matched
	return limit, reset
}

// own notes connections that are to be closed with the proxy.
func (c *cutter) own(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns == nil {
		return false
	}
	c.group.Add(1)
	for _, conn := range conns {
		c.conns[conn] = struct{}{}
	}
	return true
}

func (c *cutter) disown(conns ...net.Conn) {
	for _, conn := range conns {
		_ = conn.Close()
	}
	c.mu.Lock()
	for _, conn := range conns {
		delete(c.conns, conn)
	}
	c.mu.Unlock()
	c.group.Done()
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit, reset := c.plan(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	// A server that is not there looks like one that closes connections.
	server, err := new(net.Dialer).DialContext(r.Context(), "tcp", c.target)
	if err != nil {
		_ = client.Close()
		return
	}
	if !c.own(client, server) {
		_ = client.Close()
		_ = server.Close()
		return
	}
	defer c.disown(client, server)

	out := r.Clone(r.Context())
	out.Body, out.ContentLength, out.Close = io.NopCloser(bytes.NewReader(body)), int64(len(body)), true
	out.Header.Del("Connection")
	if !c.zipped.Load() { // else the bytes that are counted are other ones
		out.Header.Del("Accept-Encoding")
	}
	if out.Write(server) != nil {
		return
	}
	c.group.Go(func() { // a client that leaves is not served any longer
		_, _ = io.Copy(io.Discard, client)
		_ = server.Close()
	})
	if pass(client, server, limit) == nil && reset {
		_ = client.(*net.TCPConn).SetLinger(0) // httptest listens for nothing else
	}
}

// pass copies an answer: its head and limit bytes of its body.
func pass(client io.Writer, server io.Reader, limit int64) error {
	answer := bufio.NewReader(server)
	for {
		line, err := answer.ReadSlice('\n')
		if _, writeErr := client.Write(line); err != nil || writeErr != nil {
			return io.ErrUnexpectedEOF
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	if limit < 0 {
		_, err := io.Copy(client, answer)
		return err
	}
	_, err := io.CopyN(client, answer, limit)
	return err
}
