package poller

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"holdline/store"
)

// The inbox cursor (design: "The inbox cursor: horizons", rules 5 and 6), as
// base64url of
//
//	form, 1 byte: list or scan
//	the first 3 bytes of SHA-256(epoch)
//	T
//	scan: T1 - T, slot, seq
//	for each exception, by slot: slot - slot before, low bits of seq
//	the first 8 bytes of HMAC-SHA256(key, purpose, user, epoch, all before)
//
// in varints. The low bits are as many as tell the seq from those above the
// place at T: 7 a byte, the number of bytes being that of their varint, which
// may begin with zeros.
const (
	formList  = 1
	formScan  = 2
	epochSize = 3
	macSize   = 8
	// maxCursorBytes keeps the text within 128 characters, browsers' bound on a
	// Last-Event-ID across origins.
	maxCursorBytes = 96
)

// inboxPlace is how far an inbox has got.
type inboxPlace struct {
	t          int64       // everything with a stamp up to this has been given
	exceptions []exception // by slot: what has been given beyond that
	// The scan form: everything up to t1 in the slots before slot, and up to
	// seq in this one. t1 is 0 in the list form.
	t1, slot, seq int64
}

// exception is a conversation in which events beyond T have been given.
type exception struct {
	slot         int64
	conversation store.ID
	seq          int64
	stamp        int64 // of the event at seq
	past         int64 // an upper bound of how many seqs it lies above the place at T
}

// lowBytes is how many bytes of low bits tell past seqs apart.
func lowBytes(past int64) int {
	n := 1
	for limit := int64(128); past >= limit && n < 9; limit <<= 7 {
		n++
	}
	return n
}

// appendLow appends the low bits of seq as a varint of n bytes.
func appendLow(dst []byte, seq int64, n int) []byte {
	for i := range n {
		b := byte(seq>>(7*i)) & 0x7f
		if i < n-1 {
			b |= 0x80
		}
		dst = append(dst, b)
	}
	return dst
}

func varintLen(v int64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// headSize bounds the scan form without exceptions: form, epoch, T, T1 - T,
// slot, seq, MAC.
const headSize = 1 + epochSize + 6 + 5 + 4 + 6 + macSize

// scanSize bounds the length of the cursor in its scan form once it holds one
// more exception: so long as that fits, a scan can begin.
func (pl *inboxPlace) scanSize(with exception) int {
	size := headSize
	var before int64
	add := func(e exception) {
		size += varintLen(e.slot-before) + lowBytes(e.past)
		before = e.slot
	}
	placed := false
	for _, e := range pl.exceptions {
		if !placed && with.slot <= e.slot {
			add(with)
			placed = true
			if with.slot == e.slot {
				continue
			}
		}
		add(e)
	}
	if !placed {
		add(with)
	}
	return size
}

// find returns where the exception of a slot is, or belongs.
func (pl *inboxPlace) find(slot int64) (at int, found bool) {
	return slices.BinarySearchFunc(pl.exceptions, slot, func(e exception, slot int64) int { return cmp.Compare(e.slot, slot) })
}

// set replaces or adds an exception.
func (pl *inboxPlace) set(e exception) {
	at, found := pl.find(e.slot)
	if found {
		pl.exceptions[at] = e
		return
	}
	pl.exceptions = slices.Insert(pl.exceptions, at, e)
}

// advance moves T. Exceptions that it has reached vanish.
func (pl *inboxPlace) advance(t int64) {
	pl.t, pl.t1, pl.slot, pl.seq = t, 0, 0, 0
	pl.exceptions = slices.DeleteFunc(pl.exceptions, func(e exception) bool { return e.stamp <= t })
	if len(pl.exceptions) == 0 {
		pl.exceptions = nil
	}
}

// inboxCodec makes and reads the cursors of one user under one epoch.
type inboxCodec struct {
	key   []byte
	user  store.ID
	epoch string
}

func (c *inboxCodec) mac(payload []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	_, _ = h.Write([]byte("holdline inbox cursor\x00"))
	var user [8]byte
	binary.BigEndian.PutUint64(user[:], uint64(c.user))
	_, _ = h.Write(user[:])
	_, _ = h.Write([]byte(c.epoch + "\x00"))
	_, _ = h.Write(payload)
	return h.Sum(nil)[:macSize]
}

func epochMark(epoch string) []byte {
	sum := sha256.Sum256([]byte(epoch))
	return sum[:epochSize]
}

// append appends the cursor's text.
func (c *inboxCodec) append(dst []byte, pl *inboxPlace) []byte {
	raw := make([]byte, 0, maxCursorBytes+macSize)
	form := byte(formList)
	if pl.t1 != 0 {
		form = formScan
	}
	raw = append(raw, form)
	raw = append(raw, epochMark(c.epoch)...)
	raw = binary.AppendUvarint(raw, uint64(pl.t))
	if form == formScan {
		raw = binary.AppendUvarint(raw, uint64(pl.t1-pl.t))
		raw = binary.AppendUvarint(raw, uint64(pl.slot))
		raw = binary.AppendUvarint(raw, uint64(pl.seq))
	}
	var before int64
	for _, e := range pl.exceptions {
		raw = binary.AppendUvarint(raw, uint64(e.slot-before))
		raw = appendLow(raw, e.seq, lowBytes(e.past))
		before = e.slot
	}
	raw = append(raw, c.mac(raw)...)
	return base64.RawURLEncoding.AppendEncode(dst, raw)
}

// parsedCursor is a cursor whose exceptions are still to be looked up.
type parsedCursor struct {
	inboxPlace
	named []store.SlotPlace
}

// cursorFault says what is wrong with a cursor.
type cursorFault int

const (
	cursorRight cursorFault = iota
	cursorForged
	cursorOfOtherEpoch
)

// parse reads a cursor's text.
func (c *inboxCodec) parse(text string) (*parsedCursor, cursorFault) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < 1+epochSize+1+macSize || len(raw) > maxCursorBytes ||
		(raw[0] != formList && raw[0] != formScan) {
		return nil, cursorForged
	}
	if string(raw[1:1+epochSize]) != string(epochMark(c.epoch)) {
		return nil, cursorOfOtherEpoch
	}
	payload, mac := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	if !hmac.Equal(mac, c.mac(payload)) {
		return nil, cursorForged
	}
	// From here on it is this server's own writing.
	rest := payload[1+epochSize:]
	next := func() int64 {
		v, n := binary.Uvarint(rest)
		rest = rest[max(n, 0):]
		return int64(v)
	}
	p := &parsedCursor{}
	p.t = next()
	if raw[0] == formScan {
		p.t1 = p.t + next()
		p.slot, p.seq = next(), next()
	}
	var slot int64
	for len(rest) > 0 {
		slot += next()
		low, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, cursorForged
		}
		rest = rest[n:]
		p.named = append(p.named, store.SlotPlace{Slot: slot, Low: int64(low), Bits: 7 * n})
	}
	return p, cursorRight
}
