package typescript

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"holdline/internal/harness"
)

// front stands before the server and counts the streams that go through. It is
// at another address than the pages, as a server of one's own usually is.
type front struct {
	*httptest.Server
	open, opened atomic.Int64
	garbles      atomic.Bool // messages whose text is "garble me"
}

// garbler is an answer in which the text of such messages has become a list.
type garbler struct {
	http.ResponseWriter
	line []byte // the one that is not whole
}

func (g *garbler) Unwrap() http.ResponseWriter { return g.ResponseWriter }

func (g *garbler) Write(p []byte) (int, error) {
	g.line = append(g.line, p...)
	end := bytes.LastIndexByte(g.line, '\n') + 1
	err := g.pass(g.line[:end])
	g.line = g.line[end:]
	return len(p), err
}

// pass changes no length, which the answer may have told.
func (g *garbler) pass(lines []byte) error {
	_, err := g.ResponseWriter.Write(bytes.ReplaceAll(lines, []byte(`"text":"garble me"`), []byte(`"text":["garb me"]`)))
	return err
}

func newFront(t *testing.T, server *harness.Server) *front {
	t.Helper()
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Set("Accept-Encoding", "identity") // what is to be garbled must be seen
		},
		FlushInterval: -1,
		// While the server is away there is no answer, as without a proxy.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/stream") && r.Method == http.MethodGet {
			f.opened.Add(1)
			f.open.Add(1)
			defer f.open.Add(-1)
		}
		if f.garbles.Load() {
			g := &garbler{ResponseWriter: w}
			proxy.ServeHTTP(g, r)
			_ = g.pass(g.line) // the page may have gone
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *front) one(t *testing.T) {
	t.Helper()
	harness.Eventually(t, "there is one stream", func() bool { return f.open.Load() == 1 })
}

// pagesOf serves the built SDK and a page that follows with it.
func pagesOf(t *testing.T, dir string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/dist/", http.FileServer(http.Dir(dir)))
	mux.Handle("/openapi-fetch/", http.StripPrefix("/openapi-fetch/", http.FileServer(http.Dir(filepath.Join(dir, "node_modules", "openapi-fetch", "dist")))))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(dir, "test", "page.html"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}
