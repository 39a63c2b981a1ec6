package web

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(handler http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFilesAreConfirmedByTheirETag(t *testing.T) {
	for _, f := range Legacy() {
		first := get(f, http.MethodGet, f.Path)
		tag := first.Header.Get("ETag")
		if first.StatusCode != http.StatusOK || tag == "" || first.Header.Get("Cache-Control") != "no-cache" ||
			first.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(first.Header.Get("Content-Type"), "charset=utf-8") {
			t.Errorf("%s: %d %v", f.Path, first.StatusCode, first.Header)
		}
		head := get(f, http.MethodHead, f.Path)
		if head.Header.Get("Content-Length") != first.Header.Get("Content-Length") || body(t, head) != "" {
			t.Errorf("%s: HEAD %v", f.Path, head.Header)
		}
		for _, same := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			again := get(f, http.MethodGet, f.Path, "If-None-Match", same)
			if again.StatusCode != http.StatusNotModified || body(t, again) != "" || again.Header.Get("ETag") != tag || again.Header.Get("Content-Length") != "" {
				t.Errorf("%s, If-None-Match %s: %d %v", f.Path, same, again.StatusCode, again.Header)
			}
		}
		for _, other := range []string{"", `"x"`, strings.Trim(tag, `"`)} {
			if again := get(f, http.MethodGet, f.Path, "If-None-Match", other); again.StatusCode != http.StatusOK || body(t, again) == "" {
				t.Errorf("%s, If-None-Match %q: %d", f.Path, other, again.StatusCode)
			}
		}
		if kept := get(f, http.MethodGet, f.Path+"?v="+f.hash).Header.Get("Cache-Control"); !strings.Contains(kept, "immutable") {
			t.Errorf("%s by its hash: %s", f.Path, kept)
		}
		if kept := get(f, http.MethodGet, f.Path+"?v=0123456789abcdef").Header.Get("Cache-Control"); kept != "no-cache" {
			t.Errorf("%s by the hash of another version: %s", f.Path, kept)
		}
	}
}

// Every file that a page loads is there, under its own hash; nothing is inline,
// and nothing comes from elsewhere.
func TestThePageLoadsItsOwnFilesOnly(t *testing.T) {
	files := map[string]*File{}
	for _, f := range Legacy() {
		files[strings.TrimPrefix(f.Path, "/")] = f
	}
	page := get(files["legacy"], http.MethodGet, "/legacy")
	html := body(t, page)
	policy := page.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy is lax: %s", policy)
	}
	if page.Header.Get("X-Frame-Options") != "DENY" || page.Header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%v", page.Header)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(html, -1)
	if len(links) != 2 {
		t.Errorf("the page loads %v", links)
	}
	for _, link := range links {
		name, version, _ := strings.Cut(link[1], "?v=")
		if f := files[name]; f == nil || f.hash != version {
			t.Errorf("%s is not there", link[1])
		}
	}
	for _, inline := range []string{`<script[^>]*>[^<]`, `<style`, `\sstyle=`, `\son[a-z]+=`, `javascript:`} {
		if regexp.MustCompile(inline).MatchString(html) {
			t.Errorf("%s is inline", inline)
		}
	}
	for _, parser := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("} {
		if bytes.Contains(legacyScript(), []byte(parser)) {
			t.Errorf("the script uses %s", parser)
		}
	}
	if !strings.Contains(html, "<noscript>") {
		t.Error("without scripts the page says nothing")
	}
	// Every field has a label, and every form would post: a password never goes into an address.
	for _, field := range regexp.MustCompile(`<(?:input|textarea)[^>]* id="([a-z]+)"`).FindAllStringSubmatch(html, -1) {
		if !strings.Contains(html, `<label for="`+field[1]+`">`) {
			t.Errorf("%s has no label", field[1])
		}
	}
	if strings.Count(html, "<form ") != strings.Count(html, `method="post"`) {
		t.Error("a form would put its fields into the address")
	}
}

func TestTheRootIsForEverybody(t *testing.T) {
	front := http.HandlerFunc(Front)
	for name, header := range map[string][]string{
		"Chromium":            {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/156", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8"},
		"Internet Explorer 6": {"User-Agent", "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "Accept", "image/gif, image/x-xbitmap, */*"},
		"Opera":               {"User-Agent", "Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18", "Accept", "*/*"},
		"Lynx":                {"User-Agent", "Lynx/2.9.0dev", "Accept", "text/html, text/plain"},
	} {
		resp := get(front, http.MethodGet, "/", header...)
		if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "legacy" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
	}
	for name, header := range map[string][]string{
		"curl":    {"User-Agent", "curl/8.5.0", "Accept", "*/*"},
		"wget":    {"User-Agent", "Wget/1.21"},
		"Go":      {"User-Agent", "Go-http-client/1.1"},
		"nothing": {},
	} {
		resp := get(front, http.MethodGet, "/", header...)
		text := body(t, resp)
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") || !strings.Contains(text, "/openapi.yaml") {
			t.Errorf("%s: %d %v %s", name, resp.StatusCode, resp.Header, text)
		}
	}
	if resp := get(front, http.MethodHead, "/"); body(t, resp) != "" || resp.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %v", resp.Header)
	}
}
