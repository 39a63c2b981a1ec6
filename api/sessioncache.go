package api

import (
	"crypto/sha256"
	"sync"
	"time"

	"holdline/store"
)

const (
	// maxCachedSessions bounds the cache's memory at a few megabytes.
	maxCachedSessions = 16384
	// sessionCacheAge is how long a session ended on another node can pass for
	// live here while the sweep that would say so is failing.
	sessionCacheAge = 15 * time.Second
)

// cacheKey is what a session is found by: the hash of a token's secret, or the
// session's id in a ticket whose MAC was right.
type cacheKey struct {
	user    store.ID
	session store.ID
	hash    [sha256.Size]byte
}

type cachedSession struct {
	who     Identity
	expires time.Time
}

// sessionCache holds live sessions in two generations: what is used moves to
// the young one; when that is full, the old one is dropped whole. So it is
// bounded, O(1), and keeps what is in use.
type sessionCache struct {
	half int
	age  time.Duration

	mu         sync.Mutex
	young, old map[cacheKey]cachedSession
	dropped    uint64 // counts drops: a look-up that began before one must not be kept
}

func newSessionCache(size int, age time.Duration) *sessionCache {
	return &sessionCache{half: size / 2, age: age, young: map[cacheKey]cachedSession{}}
}

func (c *sessionCache) get(key cacheKey, now time.Time) (Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.young[key]
	if !ok {
		if entry, ok = c.old[key]; ok {
			c.insert(key, entry)
		}
	}
	if !ok || !now.Before(entry.expires) {
		return Identity{}, false
	}
	return entry.who, true
}

// generation is to be read before a look-up and given to put with its outcome.
func (c *sessionCache) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// put keeps who, unless something was dropped since generation: the look-up
// may have read what the drop was about.
func (c *sessionCache) put(key cacheKey, who Identity, now time.Time, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped == generation {
		c.insert(key, cachedSession{who, now.Add(c.age)})
	}
}

func (c *sessionCache) insert(key cacheKey, entry cachedSession) {
	if len(c.young) >= c.half {
		c.young, c.old = make(map[cacheKey]cachedSession), c.young
	}
	c.young[key] = entry
}

// drop forgets one session of a user, or all when session is 0.
func (c *sessionCache) drop(user, session store.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped++
	for _, entries := range []map[cacheKey]cachedSession{c.young, c.old} {
		for key, entry := range entries {
			if key.user == user && (session == 0 || entry.who.Session.ID == session) {
				delete(entries, key)
			}
		}
	}
}
