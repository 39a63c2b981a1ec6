package poller

import (
	"context"
	"sync"

	"holdline/store"
)

// maxPlaces bounds the places that are remembered.
const maxPlaces = 8192

// placeKey asks for the last seq of a conversation with a stamp up to a closed
// one; the answer never changes.
type placeKey struct {
	conversation store.ID
	epoch        string
	stamp        int64
}

// placeCache reads each place once for all inboxes that need it at the same time.
type placeCache struct {
	p     *Poller
	mu    sync.Mutex
	known map[placeKey]*placeLoad
}

type placeLoad struct {
	done chan struct{}
	seq  int64
	err  error
}

func (c *placeCache) init(p *Poller) {
	c.p = p
	c.known = make(map[placeKey]*placeLoad)
}

func (c *placeCache) get(ctx context.Context, key placeKey) (int64, error) {
	c.mu.Lock()
	l := c.known[key]
	if l == nil {
		if len(c.known) >= maxPlaces {
			clear(c.known)
		}
		l = &placeLoad{done: make(chan struct{})}
		if !c.p.spawn(func() { c.read(key, l) }) {
			c.mu.Unlock()
			return 0, store.Errorf(store.CodeUnavailable, "the server is shutting down")
		}
		c.known[key] = l
	}
	c.mu.Unlock()
	select {
	case <-l.done:
		return l.seq, l.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (c *placeCache) read(key placeKey, l *placeLoad) {
	ctx, cancel := context.WithTimeout(c.p.ctx, readTimeout)
	defer cancel()
	l.seq, l.err = c.p.log.PlaceAt(ctx, key.conversation, key.stamp)
	if l.err != nil {
		c.mu.Lock()
		if c.known[key] == l {
			delete(c.known, key)
		}
		c.mu.Unlock()
	}
	close(l.done)
}
