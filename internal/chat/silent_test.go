package chat

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/harness"
)

// A call that gets no answer does not hold up the client: what it would have told stays unknown.
func TestACallThatGetsNoAnswer(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	bob.MustSend(bob.Direct("ann"), "1", "psst")
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	middle := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1}
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/members") && asked.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		middle.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	o := Options{
		Account: Account{Folder: t.TempDir(), Server: proxy.URL, Handle: "ann"},
		Session: Session{Server: proxy.URL, Handle: "ann", UserID: ann.UserID, Token: ann.Token}, CallTimeout: 500 * time.Millisecond,
	}
	var out bytes.Buffer
	if err := RunPlain(ctx, o, strings.NewReader("/list\n"), &out); err != nil {
		t.Fatal(err)
	}
	if asked.Load() == 0 || !strings.Contains(out.String(), "(1 unread)") {
		t.Errorf("%d calls, shown was %s", asked.Load(), out.String())
	}
}
