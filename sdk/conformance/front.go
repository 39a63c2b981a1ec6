package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// front is an HTTP proxy before the server, which does what proxies do to HTTP. What happens to bytes and connections
// is netfault's part, before it.
type front struct {
	proxy  *httputil.ReverseProxy
	server *http.Server
	addr   string
	done   chan struct{}

	mu     sync.Mutex
	kind   string
	text   string // of what it happens to, where that is a message
	count  int    // requests left that it happens to, or frames and answers; -1 for all
	struck int
}

func newFront(target string) (*front, error) {
	u, err := url.Parse("http://" + target)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed by close
	if err != nil {
		return nil, err
	}
	quiet := log.New(io.Discard, "", 0) // that the server goes away is what happens here
	f := &front{addr: listener.Addr().String(), done: make(chan struct{})}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Header.Del("Accept-Encoding") // cuts are counted in the bytes that the table speaks of
		},
		FlushInterval: -1,
		ErrorLog:      quiet,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16, DialContext: dialSmall, DisableCompression: true},
	}
	f.proxy.ModifyResponse = f.garble
	f.server = &http.Server{ //nolint:gosec // loopback only
		Handler: f, ErrorLog: quiet,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			small(conn)
			return ctx
		},
	}
	go func() {
		defer close(f.done)
		_ = f.server.Serve(listener) // ends with close
	}()
	return f, nil
}

// dialSmall and small keep what lies in the kernel's buffers small, so that a client that stands still is felt by the
// server, as over a real network.
func dialSmall(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		small(conn)
	}
	return conn, err
}

func small(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(64 << 10) // the default will do too, for less
		_ = tcp.SetWriteBuffer(64 << 10)
	}
}

func (f *front) close() error {
	err := f.server.Close()
	<-f.done
	if t, ok := f.proxy.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	return err
}

// set says what happens to requests from now on, or to messages of a text.
func (f *front) set(kind, text string, count int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind, f.text, f.count = kind, text, count
}

// next is what happens to this request; empty for nothing that does not depend on its answer.
func (f *front) next(stream bool) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.kind == "", f.count == 0, f.kind == FaultGarbled, f.kind == FaultDropped:
		return ""
	case !stream && (f.kind == FaultSilence || f.kind == FaultBuffering):
		return ""
	}
	if f.count > 0 {
		f.count--
	}
	f.struck++
	return f.kind
}

const html = `<!DOCTYPE html><html><head><title>%[1]s</title></head><body><h1>%[1]s</h1>
<p>data: {"seq":1}</p></body></html>`

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch f.next(strings.HasSuffix(r.URL.Path, "/stream")) {
	case FaultBadGateway:
		page(w, http.StatusBadGateway, "502 Bad Gateway")
	case FaultPortal:
		page(w, http.StatusOK, "Sign in to this network")
	case FaultSilence:
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // the client may have gone
		<-r.Context().Done()
	case FaultBuffering:
		held := &held{header: http.Header{}}
		f.proxy.ServeHTTP(held, r)
		for name, values := range held.header {
			w.Header()[name] = values
		}
		w.WriteHeader(held.status)
		_, _ = w.Write(held.body.Bytes())
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

func page(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, html, title)
}

// held is an answer of which nothing passes before it is whole.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }
func (h *held) Flush()                      {}
