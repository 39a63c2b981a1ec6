package api

import (
	_ "embed"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5emb"
)

//go:embed docs/page.html
var docsPage []byte

//go:embed docs/page.js
var docsScript []byte

// docsPolicy lets the reference load from this server only. Swagger UI sets
// styles from its script and holds its icons as data.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsAssets are the files of Swagger UI that the page uses; they come with the binary.
var docsAssets = []string{"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"}

// GetDocs answers the reference: the contract, rendered.
func (s *Server) GetDocs(c echo.Context) error {
	c.Response().Header().Set("Content-Security-Policy", docsPolicy)
	s.write(c, http.StatusOK, "text/html; charset=utf-8", docsPage)
	return nil
}

// registerDocs serves what the reference loads.
func (s *Server) registerDocs(e *echo.Echo) {
	e.GET("/docs/page.js", func(c echo.Context) error {
		s.write(c, http.StatusOK, "text/javascript; charset=utf-8", docsScript)
		return nil
	})
	files := v5emb.New("Holdline API", "/openapi.yaml", "/docs/")
	for _, name := range docsAssets {
		e.GET("/docs/"+name, func(c echo.Context) error {
			_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
			files.ServeHTTP(c.Response(), c.Request())
			return nil
		})
	}
}
