package chat

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Escape makes text safe for a terminal, on one line: control characters, line separators, and the characters that
// turn the direction of text around are shown as \n, \t or \u001b. Emoji and joiners stay.
func Escape(s string) string {
	if !strings.ContainsFunc(s, obeyed) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case !obeyed(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapeLines is Escape for a screen, where a line break may stay one.
func escapeLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = Escape(strings.ReplaceAll(lines[i], "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// obeyed reports whether a terminal may do something else with a character than show it.
func obeyed(r rune) bool {
	switch {
	case r >= ' ' && r < 0x7f:
		return false
	case r == 0x200c || r == 0x200d, r >= 0xe0020 && r <= 0xe007f: // joiners; the tags in flags
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Co, unicode.Zl, unicode.Zp)
}

// clip shortens text to a number of cells.
func clip(s string, cells int) string { return ansi.Truncate(s, cells, "…") }
