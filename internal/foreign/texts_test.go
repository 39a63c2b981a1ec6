package foreign

import (
	"strings"

	"holdline/store"
)

// shortTexts are texts that break parsers which are not careful: what ends
// lines, frames, strings and fields, and what is easily lost.
var shortTexts = []string{
	"plain",
	"carriage\rreturn",
	"line\nfeed",
	"both\r\nof them\r\n\r\nand an empty line",
	"\n\n\r\r\r\n\r\n",
	"event: end\ndata: {\"code\":\"unauthorized\"}\nid: 99-zzz\n\n",
	"data: x\rid\rretry: 1\r\r",
	": is this a comment?",
	":",
	" leading space",
	"  two of them, and two trailing  ",
	"\ttab\v\f\b",
	" ",
	`quotes " ' and backslashes \ \\ \" \n \u0041`,
	"</script><!-- & &amp; -->",
	"emoji 😀 👩‍👩‍👧 🏳️‍🌈 e\u0301",
	"line\u2028and paragraph\u2029separators",
	"next line \u0085, a no-break\u00a0space",
	"\ufeffbyte order mark\ufeff",
	"\u202eright to left\u202c, \u200b\u200d\u2060",
	"controls \x01\x1b[31m\x7f\u009f",
	"\ufffd\ufffe\uffff\U0010ffff",
	"null",
	"{}",
}

// longTexts are as long as a text may be.
func longTexts() []string {
	return []string{
		strings.Repeat("x", store.MaxTextBytes),
		strings.Repeat("😀", store.MaxTextBytes/4),
		strings.Repeat("\r\n", store.MaxTextBytes/2),
		strings.Repeat("\x01", store.MaxTextBytes), // six times as long in JSON
	}
}
