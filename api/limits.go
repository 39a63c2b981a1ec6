package api

import (
	"net/netip"
	"sync"
	"time"

	"holdline/store"
)

// Sign-in failures that are let through, and how fast the allowance comes
// back. The bucket of a (handle, address) is the small one: it stops guessing
// one password. The bucket of an address stops trying one password on many
// handles. There is none of a handle alone, since anybody could then lock
// somebody else out.
const (
	pairFailures      = 10
	pairEvery         = 30 * time.Second
	addressFailures   = 100
	addressEvery      = time.Second
	maxLimitedSources = 1 << 16 // of each kind
)

// signInLimits holds back those who fail to sign in.
type signInLimits struct {
	pairs     *buckets[signInPair]
	addresses *buckets[netip.Prefix]
}

type signInPair struct {
	handle  string
	address netip.Prefix
}

func newSignInLimits() *signInLimits {
	return &signInLimits{
		pairs:     newBuckets[signInPair](pairFailures, pairEvery, maxLimitedSources),
		addresses: newBuckets[netip.Prefix](addressFailures, addressEvery, maxLimitedSources),
	}
}

// attempt takes one failure in advance, so that guesses made at the same time
// count too; succeeded gives it back. CodeRateLimited with the time to wait.
func (l *signInLimits) attempt(handle, address string, now time.Time) (succeeded func(), err error) {
	from := sourceOf(address)
	pair := signInPair{handle, from}
	wait := l.addresses.take(from, now)
	if wait == 0 {
		if wait = l.pairs.take(pair, now); wait > 0 {
			l.addresses.giveBack(from)
		}
	}
	if wait > 0 {
		return nil, limited("Too many failed sign-ins from here.", wait)
	}
	return func() {
		l.addresses.giveBack(from)
		l.pairs.giveBack(pair)
	}, nil
}

// signUpLimits holds back those who make many accounts: each costs a hash, which
// takes a core and much memory for a while, and a row for ever. All sign-ups that get as
// far as the hash count, also those whose handle is taken.
type signUpLimits struct {
	addresses *buckets[netip.Prefix]
}

// newSignUpLimits lets through size sign-ups at once from each address; they
// come back evenly, all of them within an hour.
func newSignUpLimits(size int) *signUpLimits {
	return &signUpLimits{newBuckets[netip.Prefix](size, time.Hour/time.Duration(size), maxLimitedSources)}
}

// attempt takes one sign-up; notMade gives it back. CodeRateLimited with the time to wait.
func (l *signUpLimits) attempt(address string, now time.Time) (notMade func(), err error) {
	from := sourceOf(address)
	if wait := l.addresses.take(from, now); wait > 0 {
		return nil, limited("Too many accounts were made from here lately.", wait)
	}
	return func() { l.addresses.giveBack(from) }, nil
}

func limited(why string, wait time.Duration) error {
	return &retryError{cause: store.Errorf(codeRateLimited, "%s Try again in %d seconds.", why, wholeSeconds(wait)), after: wait}
}

// sourceOf is what counts as one address: an IPv4 address, or the /64 that one
// IPv6 customer has at least. What is no address (a unix socket) is one source.
func sourceOf(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // bits fits either kind
	return p
}

// buckets are token buckets by key, in bounded memory: two generations, of
// which the older is forgotten when the younger is full.
type buckets[K comparable] struct {
	size  float64
	every time.Duration // for one token to come back
	half  int

	mu         sync.Mutex
	young, old map[K]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

func newBuckets[K comparable](size int, every time.Duration, most int) *buckets[K] {
	return &buckets[K]{size: float64(size), every: every, half: most / 2, young: map[K]*bucket{}}
}

// take takes a token and returns 0, or returns how long there will be none.
func (b *buckets[K]) take(key K, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.find(key, now)
	if gained := now.Sub(e.at); gained > 0 {
		e.tokens = min(b.size, e.tokens+float64(gained)/float64(b.every))
		e.at = now
	}
	if e.tokens < 1 {
		return max(time.Nanosecond, time.Duration((1-e.tokens)*float64(b.every)))
	}
	e.tokens--
	return 0
}

func (b *buckets[K]) giveBack(key K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.young[key]
	if e == nil {
		e = b.old[key]
	}
	if e != nil {
		e.tokens = min(b.size, e.tokens+1)
	}
}

func (b *buckets[K]) find(key K, now time.Time) *bucket {
	e := b.young[key]
	if e != nil {
		return e
	}
	if e = b.old[key]; e == nil {
		e = &bucket{tokens: b.size, at: now}
	}
	if len(b.young) >= b.half {
		b.young, b.old = make(map[K]*bucket), b.young
	}
	b.young[key] = e
	return e
}
