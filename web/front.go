package web

import (
	"net/http"
	"strconv"
	"strings"
)

// front is what programs and people with curl get at the root.
const front = `Holdline: chat over plain HTTP.

/legacy         a page for browsers, however old
/docs           the API, to read
/openapi.yaml   the API, for programs
/v1/server      this server's version and limits
`

// Front answers the root: a browser is sent to its page, everything else gets a
// few lines that say what is here.
func Front(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if isBrowser(r.Header) {
		h.Set("Location", "legacy")
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusFound)
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(front)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(front)) // an error of the connection is the reader's loss
	}
}

// isBrowser tells by what is accepted or, since Internet Explorer does not name
// text/html, by the product that browsers call themselves.
func isBrowser(h http.Header) bool {
	agent := h.Get("User-Agent")
	return strings.Contains(strings.Join(h.Values("Accept"), ","), "text/html") ||
		strings.HasPrefix(agent, "Mozilla/") || strings.HasPrefix(agent, "Opera/")
}
