package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkContract tells what a gzip answer of openapi.yaml costs the server.
func BenchmarkContract(b *testing.B) {
	w := newWorld(b, nil)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/openapi.yaml", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	for b.Loop() {
		w.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
}

// What is the same for everybody is confirmed by its tag, in both encodings.
func TestDocumentsAreConfirmedByTheirETag(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/openapi.yaml", "/docs/swagger-ui.css", "/docs/page.js"} {
		tags := map[string]bool{}
		for _, encoding := range []string{"gzip", "identity"} {
			get := func(header ...string) answer {
				t.Helper()
				r := request{method: "GET", path: path, header: map[string]string{"Accept-Encoding": encoding}}
				for i := 0; i < len(header); i += 2 {
					r.header[header[i]] = header[i+1]
				}
				return w.do(r)
			}
			first := get()
			tag := first.header.Get("ETag")
			if first.status != 200 || tag == "" || first.header.Get("Cache-Control") != "no-cache" {
				t.Fatalf("%s: %d %v", path, first.status, first.header)
			}
			tags[tag] = true
			for _, same := range []string{tag, `"other", ` + tag, strings.TrimPrefix(tag, "W/"), "*"} {
				a := get("If-None-Match", same)
				if a.status != 304 || len(a.body) > 0 || a.header.Get("ETag") != tag || a.header.Get("Content-Length") != "" || a.header.Get("Vary") != first.header.Get("Vary") {
					t.Errorf("%s, If-None-Match %s: %d %v", path, same, a.status, a.header)
				}
			}
			for _, other := range []string{`"other"`, strings.ToUpper(tag), `"`} {
				if a := get("If-None-Match", other); a.status != 200 || !bytes.Equal(a.body, first.body) {
					t.Errorf("%s, If-None-Match %s: %d", path, other, a.status)
				}
			}
			if head := w.do(request{method: "HEAD", path: "/openapi.yaml", header: map[string]string{"If-None-Match": "*"}}); head.status != 304 {
				t.Errorf("HEAD: %d", head.status)
			}
		}
		if len(tags) != 1 {
			t.Errorf("%s has the tags %v", path, tags)
		}
	}
}
