package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"

	holdline "holdline/sdk/go"
)

// maxAnswer is more than any page of the server has.
const maxAnswer = 16 << 20

// read takes the answer of a call: T from its JSON, or the server's Problem as the error.
func read[T any](resp *http.Response, err error) (T, error) {
	var v T
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return v, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // no type is neither of the two
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return v, nil
	case resp.StatusCode < http.StatusMultipleChoices && kind == "application/json":
		return v, json.Unmarshal(body, &v)
	}
	var p holdline.Problem
	if kind == "application/problem+json" && json.Unmarshal(body, &p) == nil && p.Code != "" {
		return v, &p
	}
	return v, &holdline.StatusError{Status: resp.StatusCode, ContentType: kind}
}

// status is that of the server's refusal; 0 if the error is none.
func status(err error) int {
	var p *holdline.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// Explain says an error to a person, without what is for programs.
func Explain(err error) string {
	var p *holdline.Problem
	if errors.As(err, &p) {
		return Escape(p.Detail)
	}
	if reason := unreachable(err); reason != nil {
		return fmt.Sprintf("the server cannot be reached (%v)", reason)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was lost"
	}
	return Escape(err.Error())
}

// unreachable is why no connection could be made; nil if one could.
func unreachable(err error) error {
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" {
		return nil
	}
	var call *os.SyscallError // which would name the call, too
	if errors.As(dial.Err, &call) {
		return call.Err
	}
	return dial.Err
}
