package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// Page is something for people, served beside the API. Its handler answers GET
// and HEAD, and sets its own headers where they differ from those of all answers.
type Page struct {
	Path    string
	Handler http.Handler
}

// registerPages serves the pages. They are no part of the contract.
func (s *Server) registerPages(e *echo.Echo) {
	for _, page := range s.cfg.Pages {
		withHead{e}.GET(page.Path, func(c echo.Context) error {
			_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
			page.Handler.ServeHTTP(c.Response(), c.Request())
			return nil
		})
	}
}
