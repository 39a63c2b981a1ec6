package api

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"

	"holdline"
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
		kept, err := readAsset(file.name, file.kind)
		if err != nil {
			return fmt.Errorf("reading %s of the API reference: %w", file.name, err)
		}
		e.GET("/docs/"+file.name, func(c echo.Context) error { return s.writeAsset(c, kept) })
	}
	script := newAsset("text/javascript; charset=utf-8", docsScript)
	e.GET("/docs/page.js", func(c echo.Context) error { return s.writeAsset(c, script) })
	return nil
}

// readAsset reads a file of Swagger UI; most are kept compressed.
func readAsset(name, kind string) (*asset, error) {
	content, err := fs.ReadFile(static.FS, name+".gz")
	if errors.Is(err, fs.ErrNotExist) {
		content, err = fs.ReadFile(static.FS, name)
		return newAsset(kind, content), err
	}
	return newZippedAsset(kind, content), err
}

// openAPI is openapi.yaml, compressed once for all who ask for it.
var openAPI = sync.OnceValue(func() *asset {
	a := newAsset("application/yaml", holdline.OpenAPI)
	a.zipped = zipBest(a.plain)
	return a
})

// GetContract answers openapi.yaml.
func (s *Server) GetContract(c echo.Context) error {
	return s.writeAsset(c, openAPI())
}
