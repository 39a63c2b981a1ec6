package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"holdline/store"
)

// encoding is how answers are encoded. Every time looks the same: RFC 3339, UTC,
// milliseconds. Events within an answer keep the one encoding that they have
// (eventjson), down to their escapes.
var encoding = json.JoinOptions(jsontext.PreserveRawStrings(true),
	json.WithMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, t time.Time) error {
		return e.WriteToken(jsontext.String(string(store.MillisOf(t).Append(nil))))
	})))

// answer writes v as JSON.
func (s *Server) answer(c echo.Context, status int, v any) error {
	body, err := json.Marshal(v, encoding)
	if err != nil {
		return err
	}
	s.write(c, status, "application/json", body)
	return nil
}

// problemJSON is the type of a problem (RFC 9457 section 3).
const problemJSON = "application/problem+json"

// write writes a finite answer, in an envelope if the request asks for one.
func (s *Server) write(c echo.Context, status int, contentType string, body []byte) {
	if wantsEnvelope(c) {
		if enveloped, ok := envelop(c, status, contentType, body); ok {
			status, contentType, body = http.StatusOK, "application/json", enveloped
		}
	}
	s.writeOut(c, status, contentType, body)
}

// writeOut writes a finite answer as it is: with its length, not to be stored,
// and within the write timeout. An error of the connection is the reader's loss.
func (s *Server) writeOut(c echo.Context, status int, contentType string, body []byte) {
	body, release := s.zip(c, contentType, body)
	defer release()
	s.writeBytes(c, status, contentType, body)
}

// writeBytes is writeOut of what is encoded already.
func (s *Server) writeBytes(c echo.Context, status int, contentType string, body []byte) {
	w := c.Response()
	// Each answer sets its deadline anew; writers to memory have none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// noContent answers 204.
func (s *Server) noContent(c echo.Context) error {
	if wantsEnvelope(c) {
		s.write(c, http.StatusNoContent, "", nil)
		return nil
	}
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
	c.Response().WriteHeader(http.StatusNoContent)
	return nil
}

// shorten cuts what a caller sent to a length fit for a message.
func shorten(v string) string {
	const most = 64
	if len(v) > most {
		v = v[:most] + "…"
	}
	return strings.ToValidUTF8(v, "\uFFFD")
}
