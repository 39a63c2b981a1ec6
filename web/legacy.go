package web

import (
	"bytes"
	"embed"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
)

//go:embed legacy
var legacyFiles embed.FS

// legacyScripts are the parts of the legacy page's script, in their order.
var legacyScripts = []string{"json", "request", "kept", "screen", "talk", "group", "outbox", "inbox", "tabs", "page"}

// legacyPolicy lets the page load and call this server only.
const legacyPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Legacy returns the files of the legacy page.
func Legacy() []*File {
	style := newFile("/legacy.css", "text/css; charset=utf-8", minified((&css.Minifier{}).Minify, read("page.css")))
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
		all.Write(read(name + ".js"))
	}
	all.WriteString("})();\n")
	return ascii(minified((&js.Minifier{Version: 3}).Minify, all.Bytes()))
}

// ascii escapes what is not ASCII, all of which is in strings, so that the script
// is the same under any charset.
func ascii(script []byte) []byte {
	var out bytes.Buffer
	for _, unit := range utf16.Encode([]rune(string(script))) {
		if unit < utf8.RuneSelf {
			out.WriteByte(byte(unit))
		} else {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.Bytes()
}

// minified shortens a file: old devices pay for every byte.
func minified(with minify.MinifierFunc, source []byte) []byte {
	var out bytes.Buffer
	if err := with(minify.New(), &out, bytes.NewReader(source), nil); err != nil {
		panic(err) // the sources are part of the program: every test would see it
	}
	return out.Bytes()
}

// read reads a file that go:embed has found.
func read(name string) []byte {
	content, err := legacyFiles.ReadFile("legacy/" + name)
	if err != nil {
		panic(err) // only for a name that is wrong above: every test would see it
	}
	return content
}
