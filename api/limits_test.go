package api

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"holdline/store"
)

func TestTooManySignInFailures(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	w.signUp("ann")
	w.signUp("bob")
	at := time.Now()
	w.auth.now = func() time.Time { return at }
	from := func(address, handle, word string) request {
		return request{method: "POST", path: "/v1/sessions", body: NewSession{Handle: handle, Password: word}, header: map[string]string{"X-Forwarded-For": address}}
	}
	for range pairFailures {
		w.refused(from("192.0.2.1", "ann", "wrong"), 401, "unauthorized", "")
		w.must(201, from("192.0.2.2", "ann", password), nil)
	}
	a := w.do(from("192.0.2.1", "ann", password))
	if a.status != 429 || a.problem(t).Code != "rate_limited" {
		t.Fatalf("after %d failures: %d %s", pairFailures, a.status, a.body)
	}
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || wait != int(pairEvery/time.Second) {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.must(201, from("192.0.2.2", "ann", password), nil) // the handle is not locked
	w.must(201, from("192.0.2.1", "bob", password), nil) // nor is the address yet

	at = at.Add(time.Duration(wait) * time.Second)
	w.must(201, from("192.0.2.1", "ann", password), nil)
}

func TestLimitsCountGuessesUnderWay(t *testing.T) {
	l := newSignInLimits()
	now := time.Now()
	for range pairFailures {
		if _, err := l.attempt("ann", "192.0.2.1", now); err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.attempt("ann", "192.0.2.1", now)
	if store.CodeOf(err) != codeRateLimited {
		t.Fatalf("the guess after the last allowed one: %v", err)
	}
	var wait *retryError
	if !errors.As(err, &wait) || wait.after != pairEvery {
		t.Errorf("told to wait %+v", wait)
	}
}

// Success gives the allowance back, so that somebody who signs in again and
// again is never held back.
func TestSuccessIsNotCounted(t *testing.T) {
	l := newSignInLimits()
	now := time.Now()
	for i := range 10 * addressFailures {
		forgive, err := l.attempt("ann", "192.0.2.1", now)
		if err != nil {
			t.Fatalf("sign-in %d: %v", i, err)
		}
		forgive()
	}
}

// One password tried on many handles is stopped by the bucket of the address,
// and an address is a /64 in IPv6.
func TestAddressesAreLimited(t *testing.T) {
	l := newSignInLimits()
	now := time.Now()
	for i := range addressFailures {
		if _, err := l.attempt(fmt.Sprint("user", i), fmt.Sprintf("2001:db8::%x", i), now); err != nil {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if _, err := l.attempt("ann", "2001:db8::ffff:1", now); err == nil {
		t.Error("the same /64 was not limited")
	}
	if _, err := l.attempt("ann", "2001:db8:0:1::1", now); err != nil {
		t.Errorf("another /64: %v", err)
	}
	if _, err := l.attempt("ann", "@", now); err != nil {
		t.Errorf("a unix socket: %v", err)
	}
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "fe80::1%eth0": "fe80::/64", "@": "invalid Prefix"} {
		if got := sourceOf(in).String(); got != want {
			t.Errorf("sourceOf(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestBucketsRefillAndStayBounded(t *testing.T) {
	b := newBuckets[int](2, time.Second, 16)
	at := time.Now()
	takes := func(key int, wants ...time.Duration) {
		t.Helper()
		for _, want := range wants {
			if got := b.take(key, at); got != want {
				t.Fatalf("wait %v, want %v", got, want)
			}
		}
	}
	takes(1, 0, 0, time.Second)
	at = at.Add(time.Second / 2)
	takes(1, time.Second/2)
	at = at.Add(time.Hour)
	takes(1, 0, 0, time.Second)
	for i := range 1000 {
		takes(i+2, 0)
	}
	if n := len(b.young) + len(b.old); n > 16 {
		t.Errorf("%d buckets, 16 allowed", n)
	}
}

// Sign-ups are limited by the client's address, also those that fail for the
// handle: each has cost a hash. What is refused before that does not count.
func TestTooManySignUps(t *testing.T) {
	const most = 5
	w := newWorld(t, func(c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.SignUpsPerAddress = most
	})
	at := time.Now()
	w.auth.now = func() time.Time { return at }
	from := func(address, handle string) request {
		return request{method: "POST", path: "/v1/users", body: NewUser{Handle: handle, Password: password}, header: map[string]string{"X-Forwarded-For": address}}
	}
	for range 2 * most {
		r := from("192.0.2.1", "ann")
		r.body = NewUser{Handle: "ann", Password: "short"}
		w.refused(r, 400, "invalid", "password")
	}
	w.must(201, from("192.0.2.1", "ann"), nil)
	for range most - 1 {
		w.refused(from("192.0.2.1", "ann"), 409, "handle_taken", "handle")
	}
	a := w.do(from("192.0.2.1", "bob"))
	if a.status != 429 || a.problem(t).Code != "rate_limited" {
		t.Fatalf("after %d sign-ups: %d %s", most, a.status, a.body)
	}
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || wait != 3600/most {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.must(201, from("192.0.2.2", "cleo"), nil) // another address
	w.must(201, request{method: "POST", path: "/v1/sessions", body: NewSession{Handle: "ann", Password: password}, header: map[string]string{"X-Forwarded-For": "192.0.2.1"}}, nil)

	at = at.Add(time.Duration(wait) * time.Second)
	w.must(201, from("192.0.2.1", "bob"), nil)
	w.refused(from("192.0.2.1", "dan"), 429, "rate_limited", "")

	for i := range most {
		w.must(201, from(fmt.Sprintf("[2001:db8::%x]:40000", i), fmt.Sprint("six", i)), nil)
	}
	w.refused(from("2001:db8::ffff:1", "six"), 429, "rate_limited", "")
	w.must(201, from("2001:db8:0:1::1", "six"), nil)
}

// An office behind one address signs up at once.
func TestAnOfficeSignsUp(t *testing.T) {
	l := newSignUpLimits(DefaultSignUps)
	now := time.Now()
	for i := range DefaultSignUps {
		if _, err := l.attempt("192.0.2.1", now); err != nil {
			t.Fatalf("account %d: %v", i, err)
		}
	}
	if _, err := l.attempt("192.0.2.1", now); store.CodeOf(err) != codeRateLimited {
		t.Fatalf("one more than %d: %v", DefaultSignUps, err)
	}
	if _, err := l.attempt("192.0.2.1", now.Add(time.Hour)); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}
