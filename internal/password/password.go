// Package password turns passwords into what is stored of them, and checks
// them against it: argon2id (RFC 9106) in the PHC string format
// ($argon2id$v=19$m=…,t=…,p=…$salt$hash), so that the cost can be raised later
// without invalidating what is stored.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Limits of a password, in bytes of UTF-8.
const (
	MinBytes = 8
	MaxBytes = 256
)

// Cost of a hash: the second of the OWASP password storage cheat sheet's
// equivalent settings. About 25 ms and 19 MiB each.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	threads   = 1
	saltBytes = 16
	hashBytes = 32
)

// ErrUnacceptable is returned by Check and Hash; its text says what to do.
var ErrUnacceptable = fmt.Errorf("a password has %d to %d bytes of UTF-8, and no NUL", MinBytes, MaxBytes)

// errFormat is what Verify says of a stored hash that Hash did not make.
var errFormat = errors.New("the stored password hash has an unknown form")

// Check reports whether a new password can be taken.
func Check(password string) error {
	if len(password) < MinBytes || len(password) > MaxBytes || !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return ErrUnacceptable
	}
	return nil
}

// Hash returns what to store of a new password. It takes tens of milliseconds
// of one core and 19 MiB, so bound how many run at once. ErrUnacceptable.
func Hash(password string) (string, error) {
	if err := Check(password); err != nil {
		return "", err
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	sum := argon2.IDKey([]byte(password), salt, passes, memoryKiB, threads, hashBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum)), nil
}

// dummy is verified against when there is no stored hash.
const dummy = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// Verify reports whether password is the one that stored was made from. An
// empty stored hash matches no password, and takes as long to say so, so that
// time does not tell which accounts exist.
func Verify(stored, password string) (bool, error) {
	exists := stored != ""
	if !exists {
		stored = dummy
	}
	var version int
	var memory, time uint32
	var lanes uint8
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return false, errFormat
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errFormat
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &lanes); err != nil || time == 0 || lanes == 0 {
		return false, errFormat
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) == 0 {
		return false, errFormat
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && exists, nil
}
