package pages

import (
	_ "embed"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

//go:embed xdr.js
var xdrScript string

// elsewhere serves the page from another origin, as somebody does who has it on
// their own site: it names the server in its meta element.
func elsewhere(t *testing.T, server *harness.Server, named string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "legacy", http.StatusFound)
			return
		}
		resp, err := client.Get(server.URL + r.URL.RequestURI())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		content, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		const meta = `<meta name="holdline-server" content="`
		_, _ = io.WriteString(w, strings.Replace(string(content), meta, meta+named, 1)) // the browser may be gone
	}))
	t.Cleanup(site.Close)
	return site.URL
}

// On another origin, through XDomainRequest: everything goes by GET and POST, in
// envelopes, with tickets that run out.
func TestLegacyPageByXDomainRequest(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true, Args: []string{"--ticket-ttl=4s"}})
	site := elsewhere(t, server, server.URL+"/")
	profile := browser.NewProfile(t, Old(false)+xdrScript)
	ann := arrive(profile, site, "ann")
	if ann.Text("location.origin") == server.URL {
		t.Fatal("this is no other origin")
	}
	ann.Write("handle", "ann")
	ann.Press("Tab")
	ann.EnterText("wrong password")
	ann.Press("Enter")
	ann.Until("the error, out of its envelope", Shows("state", "Wrong handle or password"))
	ann.Enter("join")
	bob := server.SignUp("bob")
	ann.Start("bob", "")
	ann.Until("the talk", Shows("title", "bob"))
	ann.Say("across origins")
	ann.Until("accepted", Shows("messages", "across origins")+" && !("+Shows("messages", "sending")+")")
	talk := bob.Direct("ann")
	bob.MustSend(talk, "1", "and back")
	ann.Until("live", Shows("messages", "and back"))

	server.Kill()
	ann.Say("into the void")
	server = server.Again()
	bob = bob.At(server)
	ann.Until("sent again", Shows("messages", "into the void")+" && !("+Shows("messages", "sending")+")")
	ann.Until("another ticket", "window.requested.join('\\n').match(/tickets/g).length > 1")
	bob.MustSend(talk, "2", "with another ticket")
	ann.Until("live again", Shows("messages", "with another ticket"))
	if log := bob.AllEvents(talk); len(log) != 5 {
		t.Errorf("the log: %+v", log)
	}

	ann.Reach(El("leave"))
	ann.Press("Enter")
	ann.Until("signed out", Visible("door"))
	asked := ann.Text("window.requested.join('\\n')")
	for line := range strings.Lines(asked) {
		if !strings.HasPrefix(line, "XDR ") || strings.Contains(line, "hl_") {
			t.Errorf("asked for %s", line)
		}
	}
	if !strings.Contains(asked, "method=DELETE") {
		t.Errorf("signed out by %s", asked)
	}
	unmarked(ann)
}

// A server that XDomainRequest cannot ask from here leaves no blank page.
func TestLegacyPageByXDomainRequestWithoutTLS(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	site := elsewhere(t, server, strings.Replace(server.URL, "http:", "https:", 1)+"/")
	opened, _ := browser.NewProfile(t, Old(false)+xdrScript).Open(site + "/legacy")
	opened.Until("told", Shows("state", "No connection"))
}
