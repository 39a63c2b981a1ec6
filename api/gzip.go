package api

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/labstack/echo/v4"
)

// zipFrom is the length from which on a finite answer is compressed: what is
// shorter fits into a packet anyway.
const zipFrom = 1024

// zippable are the types that are compressed. Pages are not: they may show a
// secret beside what a stranger wrote (BREACH).
var zippable = map[string]bool{"application/json": true, problemJSON: true, textPlain: true}

// acceptsGzip reports whether a request asks for gzip, and for nothing rather
// than that (RFC 9110 section 12.5.3).
func acceptsGzip(h http.Header) bool {
	wanted, identity := -1.0, 0.0
	named := false
	for item := range entries(h.Values("Accept-Encoding")) {
		coding, q := codingOf(item)
		switch coding {
		case "gzip", "x-gzip":
			wanted, named = max(q, 0), true
		case "*":
			if !named {
				wanted = q
			}
		case "identity":
			identity = q
		}
	}
	return wanted > 0 && wanted >= identity
}

// codingOf reads one entry of an Accept-Encoding; a weight that cannot be read is 0.
func codingOf(item string) (coding string, q float64) {
	coding, params, _ := strings.Cut(item, ";")
	q = 1
	if name, value, ok := strings.Cut(params, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
		var err error
		if q, err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil || q < 0 || q > 1 {
			q = 0
		}
	}
	return strings.ToLower(strings.TrimSpace(coding)), q
}

// zipper compresses finite answers.
type zipper struct {
	w   *gzip.Writer
	buf bytes.Buffer
}

var zippers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that there is
	return &zipper{w: w}
}}

func (z *zipper) release() {
	if z.buf.Cap() <= maxPooledPage {
		zippers.Put(z)
	}
}

// zip compresses a finite answer, if its client asks for that and it is one
// that may be, and becomes shorter. The bytes are good until release.
func (s *Server) zip(c echo.Context, contentType string, body []byte) (zipped []byte, release func()) {
	h := c.Response().Header()
	if len(body) < zipFrom || !zippable[contentType] || holdsSecret(c) {
		return body, func() {}
	}
	h.Add("Vary", "Accept-Encoding")
	if !acceptsGzip(c.Request().Header) {
		return body, func() {}
	}
	z := zippers.Get().(*zipper)
	z.buf.Reset()
	z.w.Reset(&z.buf)
	// Writing to memory does not fail.
	_, _ = z.w.Write(body)
	_ = z.w.Close()
	if z.buf.Len() >= len(body) {
		z.release()
		return body, func() {}
	}
	h.Set("Content-Encoding", "gzip")
	return z.buf.Bytes(), z.release
}

// holdsSecret reports whether the answer holds a token or a ticket. Compressed
// beside what a stranger may choose, its length would tell of it (BREACH).
func holdsSecret(c echo.Context) bool {
	settled, ok := c.(*call)
	return ok && settled.op.secret
}
