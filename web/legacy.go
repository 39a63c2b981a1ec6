package web

import (
	"bytes"
	"embed"
	"strings"
)

//go:embed legacy
var legacyFiles embed.FS

// legacyScripts are the parts of the legacy page's script, in their order.
var legacyScripts = []string{"json", "request", "kept", "screen", "talk", "outbox", "inbox", "tabs", "page"}

// legacyPolicy lets the page load and call this server only.
const legacyPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Legacy returns the files of the legacy page.
func Legacy() []*File {
	style := newFile("/legacy.css", "text/css; charset=utf-8", squeeze(read("page.css")))
	script := newFile("/legacy.js", "text/javascript; charset=utf-8", legacyScript())
	html := strings.NewReplacer(`"legacy.css"`, `"`+style.versioned()+`"`, `"legacy.js"`, `"`+script.versioned()+`"`).
		Replace(string(read("page.html")))
	page := newFile("/legacy", "text/html; charset=utf-8", []byte(html))
	page.policy = legacyPolicy
	return []*File{page, style, script}
}

// legacyScript joins the parts of the script in one function, so that they see
// each other and nothing else does.
func legacyScript() []byte {
	var all bytes.Buffer
	all.WriteString("(function () {\n")
	for _, name := range legacyScripts {
		all.Write(squeeze(read(name + ".js")))
	}
	all.WriteString("})();\n")
	return all.Bytes()
}

// squeeze leaves out indentation, empty lines, and lines that are comments: old
// devices pay for every byte.
func squeeze(source []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(source) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			out.Write(line)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// read reads a file that go:embed has found.
func read(name string) []byte {
	content, err := legacyFiles.ReadFile("legacy/" + name)
	if err != nil {
		panic(err) // only for a name that legacyScripts has wrong: every test would see it
	}
	return content
}
