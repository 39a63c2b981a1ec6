package api

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"holdline/store"
)

// Bounds of a password, in bytes of UTF-8.
const (
	MinPasswordBytes = 8
	MaxPasswordBytes = 256
)

// Parameters of argon2id: the second of the equivalent settings in OWASP's
// Password Storage Cheat Sheet. The encoded hash names them, so that they can
// be raised without breaking what is stored.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
)

// CheckPassword refuses a password outside the bounds, by an *store.Error that
// names the field.
func CheckPassword(password string) error {
	switch n := len(password); {
	case n < MinPasswordBytes:
		return invalid("password", "A password must have at least %d bytes.", MinPasswordBytes)
	case n > MaxPasswordBytes:
		return invalid("password", "A password may have at most %d bytes.", MaxPasswordBytes)
	case strings.IndexByte(password, 0) >= 0:
		return invalid("password", "A password must not hold a NUL character.")
	}
	return nil
}

// HashPassword returns the encoded argon2id hash of a password, as
// store.NewUser and SetPassword take it. It takes 19 MiB and some tens of
// milliseconds.
func HashPassword(password string) string { return hashPassword(password, argonMemory) }

func hashPassword(password string, memory uint32) string {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	key := argon2.IDKey([]byte(password), salt, argonTime, memory, argonThreads, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// VerifyPassword reports whether password is the one that encoded was made
// from, comparing in constant time. An encoded hash it cannot read is an error.
func VerifyPassword(password, encoded string) (bool, error) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false, fmt.Errorf("a stored password hash is not argon2id version %d", argon2.Version)
	}
	var memory, time uint32
	var threads uint8
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); n != 3 || err != nil || time < 1 || threads < 1 || memory > 1<<20 {
		return false, fmt.Errorf("a stored password hash has the parameters %q", parts[3])
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("a stored password hash has a broken salt: %w", err)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) < argonSalt {
		return false, fmt.Errorf("a stored password hash has a broken key")
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// maxQueuedPasswords is how many sign-ins and sign-ups may wait for their turn.
const maxQueuedPasswords = 256

// passwords bounds how much of the machine hashing may take: as many at a time
// as there are cores, and a queue of a fixed length before it.
type passwords struct {
	memory  uint32 // KiB for a new hash
	turns   chan struct{}
	waiting atomic.Int64
	nobody  string // hash that no password has: verified where there is no account
}

func newPasswords(memory uint32) *passwords {
	p := &passwords{memory: memory, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	p.nobody = hashPassword(base64.RawStdEncoding.EncodeToString(secret[:]), memory)
	return p
}

// hash is hashPassword in its turn.
func (p *passwords) hash(ctx context.Context, password string) (encoded string, err error) {
	err = p.inTurn(ctx, func() { encoded = hashPassword(password, p.memory) })
	return encoded, err
}

// verify is VerifyPassword in its turn. An empty encoded, which stands for an
// account without a password or none at all, takes as long as any other.
func (p *passwords) verify(ctx context.Context, password, encoded string) (ok bool, err error) {
	none := encoded == ""
	if none {
		encoded = p.nobody
	}
	var verifyErr error
	if err := p.inTurn(ctx, func() { ok, verifyErr = VerifyPassword(password, encoded) }); err != nil {
		return false, err
	}
	return ok && !none, verifyErr
}

func (p *passwords) inTurn(ctx context.Context, work func()) error {
	if p.waiting.Add(1) > maxQueuedPasswords {
		p.waiting.Add(-1)
		return store.Errorf(store.CodeOverloaded, "Too many sign-ins at once. Try again.")
	}
	defer p.waiting.Add(-1)
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
		work()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
