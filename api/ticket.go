package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"holdline/store"
)

// ticketMAC is the length of a ticket's MAC: HMAC-SHA256 cut to 128 bits
// (RFC 2104 section 5), since tickets travel in every query of small devices.
const ticketMAC = 16

// ticketSize is user, session, expiry in Unix seconds, MAC.
const ticketSize = 8 + 8 + 8 + ticketMAC

// ticket is a credential for reading that ends by itself. Nothing of it is
// stored: it is bound to its session by a MAC under the database's key, so that
// every node takes it.
type ticket struct {
	user, session store.ID
	expires       time.Time
}

// tickets makes and reads tickets.
type tickets struct {
	key []byte
	age time.Duration
}

// issue makes a ticket that ends age after now, to the second.
func (ts tickets) issue(user, session store.ID, now time.Time) (text string, expires time.Time) {
	expires = now.Add(ts.age).Truncate(time.Second).UTC()
	b := make([]byte, 0, ticketSize)
	b = binary.BigEndian.AppendUint64(b, uint64(user))
	b = binary.BigEndian.AppendUint64(b, uint64(session))
	b = binary.BigEndian.AppendUint64(b, uint64(expires.Unix()))
	b = append(b, ts.mac(b)...)
	return base64.RawURLEncoding.EncodeToString(b), expires
}

// parse reads a ticket whose MAC is right; it may have expired.
func (ts tickets) parse(text string) (t ticket, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(ticketSize) {
		return t, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || !hmac.Equal(b[ticketSize-ticketMAC:], ts.mac(b[:ticketSize-ticketMAC])) {
		return t, false
	}
	return ticket{
		user:    store.ID(binary.BigEndian.Uint64(b)),
		session: store.ID(binary.BigEndian.Uint64(b[8:])),
		expires: time.Unix(int64(binary.BigEndian.Uint64(b[16:])), 0).UTC(),
	}, true
}

// mac binds to its purpose too: the key also signs other things.
func (ts tickets) mac(payload []byte) []byte {
	h := hmac.New(sha256.New, ts.key)
	h.Write([]byte("ticket 1:"))
	h.Write(payload)
	return h.Sum(nil)[:ticketMAC]
}
