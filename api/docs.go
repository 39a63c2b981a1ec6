package api

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"
)

//go:embed docs/page.html
var docsPage []byte

//go:embed docs/page.js
var docsScript []byte

// docsPolicy lets the reference load from this server only. Swagger UI sets
// styles from its script and holds its icons as data.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// GetDocs answers the reference: the contract, rendered.
func (s *Server) GetDocs(c echo.Context) error {
	c.Response().Header().Set("Content-Security-Policy", docsPolicy)
	s.write(c, http.StatusOK, "text/html; charset=utf-8", docsPage)
	return nil
}

// registerDocs serves what the reference loads: its own script, and files of
// Swagger UI, which come with the binary.
func (s *Server) registerDocs(e *echo.Echo) error {
	files := []struct{ name, kind string }{
		{"swagger-ui.css", "text/css; charset=utf-8"},
		{"swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
		{"favicon-32x32.png", "image/png"},
	}
	for _, file := range files {
		content, zipped, err := readAsset(file.name)
		if err != nil {
			return fmt.Errorf("reading %s of the API reference: %w", file.name, err)
		}
		e.GET("/docs/"+file.name, func(c echo.Context) error { return s.asset(c, file.kind, content, zipped) })
	}
	e.GET("/docs/page.js", func(c echo.Context) error {
		return s.asset(c, "text/javascript; charset=utf-8", docsScript, false)
	})
	return nil
}

// readAsset reads a file of Swagger UI; most are kept compressed.
func readAsset(name string) (content []byte, zipped bool, err error) {
	content, err = fs.ReadFile(static.FS, name+".gz")
	if errors.Is(err, fs.ErrNotExist) {
		content, err = fs.ReadFile(static.FS, name)
		return content, false, err
	}
	return content, true, err
}

// asset writes a file as it is kept, or unpacked for those who take no gzip.
func (s *Server) asset(c echo.Context, kind string, content []byte, zipped bool) error {
	if zipped {
		c.Response().Header().Set("Vary", "Accept-Encoding")
		if acceptsGzip(c.Request().Header) {
			c.Response().Header().Set("Content-Encoding", "gzip")
		} else {
			unpacked, err := unzip(content)
			if err != nil {
				return err
			}
			content = unpacked
		}
	}
	s.write(c, http.StatusOK, kind, content)
	return nil
}

func unzip(content []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
