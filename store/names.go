package store

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of names, enforced by the store whatever the way in.
const (
	MinHandleChars      = 2
	MaxHandleChars      = 32
	MaxDisplayNameChars = 64
	MaxDeviceNameChars  = 64
)

// ValidHandle reports whether s can be a handle: [a-z0-9_.-]{2,32}.
func ValidHandle(s string) bool {
	if len(s) < MinHandleChars || len(s) > MaxHandleChars {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}

// validateLine checks an optional text of one line: at most limit characters
// of UTF-8, none of them a control character (so no NUL, which PostgreSQL
// cannot store).
func validateLine(field, s string, limit int) error {
	switch {
	case !utf8.ValidString(s):
		return invalid(field, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > limit:
		return invalid(field, fmt.Sprintf("must be at most %d characters", limit))
	case strings.ContainsFunc(s, unicode.IsControl):
		return invalid(field, "must be one line without control characters")
	}
	return nil
}

func invalid(field, message string) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: message}
}
