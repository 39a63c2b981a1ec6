package api

import (
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"holdline/store"
)

// The text form of the log, for shells and for people: one line an event, of
// five fields with a TAB between them:
//
//	SEQ  ACCEPTED_AT  TYPE  SENDER_ID  TEXT
//
// SEQ is what `after` takes to go on behind the line: of a hidden event, the
// last seq it stands for. TEXT is the text of a message, the title, or what
// happened to which member. A field that an event does not have is "-".

const textPlain = "text/plain; charset=utf-8"

// wantsText reports whether a request asks for the text form by name.
func wantsText(r *http.Request) bool {
	for kind := range entries(r.Header.Values("Accept")) {
		kind, _, _ = strings.Cut(kind, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/plain":
			return true
		case "application/json", "text/event-stream":
			return false
		}
	}
	return false
}

// appendLine appends the line of an event, given as its JSON.
func appendLine(dst, event []byte) ([]byte, error) {
	var e struct {
		Seq        int64           `json:"seq"`
		ThroughSeq int64           `json:"through_seq"`
		Type       store.EventType `json:"type"`
		SenderID   string          `json:"sender_id"`
		Text       string          `json:"text"`
		AcceptedAt string          `json:"accepted_at"`
		UserID     string          `json:"user_id"`
		Action     string          `json:"action"`
		Title      string          `json:"title"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return dst, err
	}
	text := e.Text
	switch {
	case e.Type == store.EventMember:
		text = e.Action + " " + e.UserID
	case text == "":
		text = e.Title
	}
	dst = strconv.AppendInt(dst, max(e.Seq, e.ThroughSeq), 10)
	for _, field := range []string{e.AcceptedAt, string(e.Type), e.SenderID, text} {
		if field == "" {
			field = "-"
		}
		dst = appendVisible(append(dst, '\t'), field)
	}
	return append(dst, '\n'), nil
}

// cutLine cuts the line that begins at from to most bytes, between two
// characters; the single backslash that then ends it says so.
func cutLine(dst []byte, from, most int) []byte {
	end := from + most - len("\\\n")
	at := from
	for at < len(dst)-1 {
		_, size := utf8.DecodeRune(dst[at:])
		switch {
		case dst[at] != '\\':
		case dst[at+1] == 'u':
			size = len(`\u0000`)
		default:
			size = len(`\n`)
		}
		next := at + size
		if next > end {
			break
		}
		at = next
	}
	return append(dst[:at], "\\\n"...)
}

// appendVisible appends s without anything that could end a line, move a
// terminal's cursor or reorder what stands beside it: control characters
// (ESC among them), line and paragraph separators and the marks of
// bidirectional text become escapes, and a backslash is doubled.
func appendVisible(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '\\':
			dst = append(dst, '\\', '\\')
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case isUnsafe(r):
			dst = append(dst, '\\', 'u')
			for shift := 12; shift >= 0; shift -= 4 {
				dst = append(dst, "0123456789abcdef"[r>>shift&0xf])
			}
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func isUnsafe(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
