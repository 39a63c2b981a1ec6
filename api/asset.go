package api

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/labstack/echo/v4"

	"holdline/internal/etag"
)

// asset is a document that is the same for everybody for as long as the program
// runs, as bytes, compressed, or both.
type asset struct {
	kind   string
	plain  []byte // nil: unpacked for those who take no gzip
	zipped []byte // nil: not worth it
	tag    string
}

func newAsset(kind string, plain []byte) *asset {
	return &asset{kind: kind, plain: plain, tag: tagOf(plain)}
}

func newZippedAsset(kind string, zipped []byte) *asset {
	return &asset{kind: kind, zipped: zipped, tag: tagOf(zipped)}
}

// tagOf makes an ETag. It is weak, since it stands for the document in both of its
// encodings (RFC 9110 section 8.8.3.3).
func tagOf(content []byte) string {
	return `W/"` + etag.Hash(content) + `"`
}

// writeAsset answers an asset, or 304 to those who have it (RFC 9110 section 13.1.2).
// It may be kept, and must be asked for again: another version of the program has another.
func (s *Server) writeAsset(c echo.Context, a *asset) error {
	r, h := c.Request(), c.Response().Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.tag)
	if a.zipped != nil {
		h.Set("Vary", "Accept-Encoding")
	}
	if etag.Matches(r.Header["If-None-Match"], a.tag) {
		_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
		c.Response().WriteHeader(http.StatusNotModified)
		return nil
	}
	content := a.plain
	switch {
	case a.zipped != nil && acceptsGzip(r.Header):
		h.Set("Content-Encoding", "gzip")
		content = a.zipped
	case a.plain == nil:
		var err error
		if content, err = unzip(a.zipped); err != nil {
			return err
		}
	}
	s.writeBytes(c, http.StatusOK, a.kind, content)
	return nil
}

func unzip(content []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// zipBest compresses as well as it can, for what is compressed once.
func zipBest(plain []byte) []byte {
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // a level that there is
	_, _ = w.Write(plain)                                      // to memory
	_ = w.Close()
	return zipped.Bytes()
}
