package store

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// ID names a user, conversation or session: a random 63-bit integer inside,
// 11 base62 characters outside. The zero ID names nothing.
type ID int64

const (
	idLength   = 11
	idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewID returns a fresh random ID, never zero. A collision is possible in
// principle; inserts retry on one.
func NewID() ID {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24.
		if id := ID(binary.BigEndian.Uint64(b[:]) >> 1); id != 0 {
			return id
		}
	}
}

// String returns the public form: 11 characters of [0-9A-Za-z].
func (id ID) String() string { return string(id.Append(nil)) }

// Append appends the public form to dst.
func (id ID) Append(dst []byte) []byte {
	var buf [idLength]byte
	n := uint64(id)
	for i := idLength - 1; i >= 0; i-- {
		buf[i] = idAlphabet[n%62]
		n /= 62
	}
	return append(dst, buf[:]...)
}

// ParseID reads the public form; ok is false for anything String cannot return.
func ParseID(s string) (id ID, ok bool) {
	if len(s) != idLength {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		var digit byte
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c >= 'A' && c <= 'Z':
			digit = c - 'A' + 10
		case c >= 'a' && c <= 'z':
			digit = c - 'a' + 36
		default:
			return 0, false
		}
		if n > (1<<63-1-uint64(digit))/62 {
			return 0, false
		}
		n = n*62 + uint64(digit)
	}
	return ID(n), n != 0
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, ok := ParseID(string(b))
	if !ok {
		return fmt.Errorf("not an id: %q", b)
	}
	*id = parsed
	return nil
}
