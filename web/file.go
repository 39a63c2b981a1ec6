package web

import (
	"net/http"
	"strconv"
	"strings"

	"holdline/internal/etag"
)

// File is a file of the pages. It answers GET and HEAD.
type File struct {
	Path string // where it is served, from the root

	kind    string
	policy  string // Content-Security-Policy, of pages
	content []byte
	hash    string
}

func newFile(path, kind string, content []byte) *File {
	return &File{Path: path, kind: kind, content: content, hash: etag.Hash(content)}
}

// versioned is the file's name in a page: with its hash, so that it can be kept
// for ever and a new one is fetched at once.
func (f *File) versioned() string { return strings.TrimPrefix(f.Path, "/") + "?v=" + f.hash }

// ServeHTTP implements http.Handler. What a browser has kept is confirmed by its
// ETag (RFC 9110 section 13.1.2); a file asked for by its hash need not be asked
// for again (RFC 8246).
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	tag := `"` + f.hash + `"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == f.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	if f.policy != "" {
		h.Set("Content-Security-Policy", f.policy)
		h.Set("X-Frame-Options", "DENY") // for browsers that know no frame-ancestors
		// A page's calls with the cookie are known by their Origin or Referer.
		h.Set("Referrer-Policy", "same-origin")
	}
	if etag.Matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(f.content)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.content) // an error of the connection is the reader's loss
	}
}
