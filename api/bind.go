package api

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"holdline/store"
)

// bodies are the buffers that request bodies are read into.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooledBody is the largest buffer that is kept for reuse.
const maxPooledBody = 64 << 10

// bind reads the body into dst, which must be a pointer to the struct made from
// the operation's body schema. Where the contract lets the body be left out, so it may be here.
func (s *Server) bind(c *call, dst any) error {
	if err := s.readBody(c); err != nil {
		return err
	}
	body := c.body
	if len(body) == 0 {
		if c.op.bodyRequired {
			return invalid("", "The body is missing; it must be a JSON object.")
		}
		return nil
	}
	if c.bodyForm {
		var err error
		if body, err = formJSON(c.op.body, body); err != nil {
			return err
		}
	}
	return decode(c.op.body, body, dst)
}

// decode checks body against r, then reads it into dst.
func decode(r *rule, body []byte, dst any) error {
	if err := r.json(body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, dst, json.RejectUnknownMembers(true)); err != nil {
		// The rule and the struct come from one schema, so this says that they differ.
		return fmt.Errorf("decoding a body that was checked: %w", err)
	}
	return nil
}

// bodyTokens returns the body's access_token and form_token; empty if there are
// none. It is lenient, because what is wrong with the body is nobody's business
// before it is known who asks.
func (s *Server) bodyTokens(c *call) (access, form string, err error) {
	if err := s.readBody(c); err != nil {
		return "", "", err
	}
	if c.bodyForm {
		if looksLikeJSON(c.body) {
			return "", "", errJSONAsForm
		}
		fields, _ := url.ParseQuery(string(c.body))
		return fields.Get("access_token"), fields.Get("form_token"), nil
	}
	var body struct {
		AccessToken string `json:"access_token"`
		FormToken   string `json:"form_token"`
	}
	if err := json.Unmarshal(c.body, &body); err != nil {
		return "", "", nil //nolint:nilerr // a body that cannot be read names nobody
	}
	return body.AccessToken, body.FormToken, nil
}

// readBody reads the whole body, once, within its limit and timeout.
func (s *Server) readBody(c *call) error {
	if c.bodyRead {
		return nil
	}
	r := c.Request()
	if r.ContentLength == 0 {
		c.bodyRead = true
		return nil
	}
	form, err := bodyType(r.Header)
	if err != nil {
		return err
	}
	if r.ContentLength > s.cfg.BodyLimit {
		return &http.MaxBytesError{Limit: s.cfg.BodyLimit}
	}
	buf := bodies.Get().(*bytes.Buffer)
	buf.Reset()
	c.buffer = buf
	if _, err = buf.ReadFrom(http.MaxBytesReader(c.Response(), r.Body, s.cfg.BodyLimit)); err != nil {
		return bodyError(err)
	}
	// The deadline ends with the body: it would also cut what waits.
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Time{})
	c.bodyRead, c.bodyForm, c.body = true, form, buf.Bytes()
	return nil
}

// limitBody gives the body its time, whether or not anybody will read it: what
// is left of a body is read by net/http before an answer goes out. It is a
// deadline of the connection, since http.Server.ReadTimeout would also cut the
// answers that are held back. Readers from memory have none.
func (s *Server) limitBody(c echo.Context) {
	if c.Request().ContentLength != 0 {
		_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(s.cfg.BodyTimeout))
	}
}

// release gives the body's buffer back.
func (c *call) release() {
	if c.buffer != nil && c.buffer.Cap() <= maxPooledBody {
		bodies.Put(c.buffer)
	}
	c.buffer, c.body = nil, nil
}

// bodyError says why a body could not be read.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return store.Errorf(codeTimeout, "The body came too slowly. Nothing was done; send it again.")
	}
	return invalid("", "The body could not be read to its end.")
}

// bodyType tells forms from JSON by the Content-Type. JSON may also come as
// text/plain or without a type: XDomainRequest can send nothing else.
func bodyType(h http.Header) (form bool, err error) {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false, store.Errorf(codeUnsupportedMediaType, "Send the body as it is, without Content-Encoding.")
	}
	header := h.Get("Content-Type")
	if header == "" {
		return false, nil
	}
	kind, params, err := mime.ParseMediaType(header)
	if err != nil {
		return false, store.Errorf(codeUnsupportedMediaType, "The Content-Type cannot be read. Send application/json.")
	}
	switch charset := strings.ToLower(params["charset"]); charset {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return false, store.Errorf(codeUnsupportedMediaType, "The body must be UTF-8, not %q.", shorten(charset))
	}
	switch kind {
	case "application/json", "text/plain":
		return false, nil
	case "application/x-www-form-urlencoded":
		return true, nil
	}
	return false, store.Errorf(codeUnsupportedMediaType,
		"A body of type %q is not read here. Send application/json, or text/plain holding JSON, or application/x-www-form-urlencoded.", shorten(kind))
}
