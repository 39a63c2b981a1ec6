package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// The envelope is for clients that see an answer's body and nothing else, and
// not even that of an error: XDomainRequest, and XMLHttpRequest of Internet
// Explorer up to 9, which reads 204 as 1223. It holds any finite answer of JSON
// or text, whoever writes it, so a refusal before the handler (401, 404, 405,
// 413) too.

// wantsEnvelope reports whether a request asks for an envelope. What else the
// parameter may be is refused by checkQuery.
func wantsEnvelope(c echo.Context) bool {
	r := c.Request()
	if r.URL.RawQuery == "" || r.Method == http.MethodOptions {
		return false
	}
	values := c.QueryParams()["envelope"]
	return len(values) == 1 && values[0] == "1"
}

// answeredStatus is where the context keeps the status inside an envelope, for the log.
const answeredStatus = "answered-status"

// envelopeBytes is how much longer an answer of JSON is in its envelope.
const envelopeBytes = len(`{"status":200,"body":}`)

// envelop puts an answer into an envelope; ok is false for what has no place in
// one: documents, and the endings of streams.
func envelop(c echo.Context, status int, contentType string, body []byte) (out []byte, ok bool) {
	text := strings.HasPrefix(contentType, "text/plain")
	if !text && contentType != "application/json" && contentType != problemJSON && contentType != "" {
		return nil, false
	}
	c.Set(answeredStatus, status)
	h := c.Response().Header()
	out = append(out, `{"status":`...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, `,"body":`...)
	switch {
	case text:
		var err error
		if out, err = jsontext.AppendQuote(out, body); err != nil {
			return nil, false
		}
		if cursor := h.Get("Holdline-Cursor"); cursor != "" {
			out = append(append(append(out, `,"cursor":"`...), cursor...), '"')
		}
	case len(body) == 0:
		out = append(out, "null"...)
	default:
		out = append(out, body...)
	}
	if seconds := h.Get("Retry-After"); seconds != "" {
		out = append(append(out, `,"retry_after":`...), seconds...)
	}
	return append(out, '}'), true
}
