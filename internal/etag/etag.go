// Package etag makes and compares the tags of documents that are the same for everybody.
package etag

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Hash is the beginning of a content's SHA-256, in 16 hexadecimal digits.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// Matches reports whether the lines of an If-None-Match name a tag, by the weak
// comparison of RFC 9110 section 8.8.3.2: proxies make tags weak.
func Matches(header []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, candidate := range strings.Split(strings.Join(header, ","), ",") {
		if candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/"); candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}
