package api

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"holdline"
)

func TestCursorForms(t *testing.T) {
	for text, want := range map[string]cursor{
		"0":                     {0, ""},
		"1207-k7q":              {1207, "k7q"},
		"007":                   {7, ""},
		"9223372036854775807":   {math.MaxInt64, ""},
		"9999999999999999999":   {math.MaxInt64, ""}, // ahead of any log
		"1-" + "abcdefghij0123": {1, "abcdefghij0123"},
	} {
		if got, err := parseCursor("after", text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "-1", "+1", "1-", "1-a-b", "1.5", "x", " 1", "1 ", "1-é", "1_a", "00000000000000000000", "1-" + strings.Repeat("a", 21)} {
		if got, err := parseCursor("after", text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

// FuzzCursor holds the parser against the contract's pattern, and against what
// it reads itself.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"0", "1207-k7q", "-1", "9999999999999999999-Z", "1-", "１", "1\n"} {
		f.Add(s)
	}
	line := regexp.MustCompile(`(?m)^    Cursor:\n(?:.*\n)*?      pattern: '([^']*)'`).FindSubmatch(holdline.OpenAPI)
	if line == nil {
		f.Fatal("the contract has no pattern for cursors")
	}
	pattern := regexp.MustCompile(string(line[1]))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor("after", text)
		if (err == nil) != pattern.MatchString(text) {
			t.Fatalf("%q: %v, but the contract's pattern says otherwise", text, err)
		}
		if err != nil {
			return
		}
		if c.seq < 0 {
			t.Fatalf("%q: seq %d", text, c.seq)
		}
		again := strconv.FormatInt(c.seq, 10)
		if c.epoch != "" {
			again = formatCursor(c.seq, c.epoch)
		}
		if back, err := parseCursor("after", again); err != nil || back != c {
			t.Fatalf("%q became %q, read as %+v, %v", text, again, back, err)
		}
	})
}
