package poller

import (
	"container/list"
	"context"
	"sync"

	"holdline/store"
)

// pageEvents is the length of the ranges in which the store is read for
// readers that the ring has passed: range k holds the seqs from
// k·pageEvents+1. Fixed ranges make the pages of many readers the same.
const pageEvents = 128

// pageKey names a range of a log. to is the end of the fixed range, or the head
// as known then if that lies inside; from is its beginning, or where a page
// that was cut by its size left off.
type pageKey struct {
	conversation store.ID
	epoch        string
	from, to     int64
}

// page is a part of the log read once and encoded once for all who need it.
type page struct {
	key     pageKey
	entries []*entry // from key.from on, no gap
	bytes   int
}

func (p *page) last() int64 { return p.key.from + int64(len(p.entries)) - 1 }

func (p *page) after(seq int64) []*entry { return p.entries[seq+1-p.key.from:] }

// pages keeps the pages read lately.
type pages struct {
	p *Poller

	mu      sync.Mutex
	byKey   map[pageKey]*list.Element // of *page
	recent  *list.List                // latest used first
	bytes   int
	loading map[pageKey]*load
}

// load is a page on its way from the store.
type load struct {
	done chan struct{}
	page *page
	err  error
}

func (ps *pages) init(p *Poller) {
	ps.p = p
	ps.byKey = make(map[pageKey]*list.Element)
	ps.recent = list.New()
	ps.loading = make(map[pageKey]*load)
}

// get returns a page that holds seq want; head says how far the log certainly
// goes, and is at least want.
func (ps *pages) get(ctx context.Context, t *topic, want, head int64) (*page, error) {
	from := (want-1)/pageEvents*pageEvents + 1
	key := pageKey{conversation: t.id, epoch: t.epoch, from: from, to: min(from+pageEvents-1, head)}
	for {
		found, err := ps.load(ctx, key)
		if err != nil || want <= found.last() {
			return found, err
		}
		key.from = found.last() + 1
	}
}

func (ps *pages) load(ctx context.Context, key pageKey) (*page, error) {
	ps.mu.Lock()
	if el := ps.byKey[key]; el != nil {
		ps.recent.MoveToFront(el)
		ps.mu.Unlock()
		ps.p.stats.pageHits.Add(1)
		return el.Value.(*page), nil
	}
	l := ps.loading[key]
	if l == nil {
		l = &load{done: make(chan struct{})}
		// On a goroutine of its own: no reader's end may fail the others, and a
		// stream's small stack stays small.
		if !ps.p.spawn(func() { ps.read(key, l) }) {
			ps.mu.Unlock()
			return nil, store.Errorf(store.CodeUnavailable, "the server is shutting down")
		}
		ps.loading[key] = l
	}
	ps.mu.Unlock()
	select {
	case <-l.done:
		return l.page, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read reads and encodes a page for all who wait for it.
func (ps *pages) read(key pageKey, l *load) {
	ps.p.stats.pageReads.Add(1)
	ctx, cancel := context.WithTimeout(ps.p.ctx, readTimeout)
	defer cancel()
	events, _, err := ps.p.log.Events(ctx, key.conversation, key.from, key.to, pageEvents)
	if err == nil {
		l.page, err = newPage(key, events)
	}
	l.err = err

	ps.mu.Lock()
	delete(ps.loading, key)
	if err == nil {
		ps.keep(l.page)
	}
	ps.mu.Unlock()
	close(l.done)
}

func newPage(key pageKey, events []store.Event) (*page, error) {
	p := &page{key: key, entries: make([]*entry, len(events))}
	if len(events) == 0 {
		return nil, store.Errorf(store.CodeUnavailable, "the log does not hold seq %d", key.from)
	}
	for i := range events {
		if want := key.from + int64(i); events[i].Seq != want {
			return nil, store.Errorf(store.CodeUnavailable, "the log does not hold seq %d", want)
		}
		p.entries[i] = encode(&events[i], key.epoch)
		p.bytes += p.entries[i].size()
	}
	return p, nil
}

// keep adds a page and drops the longest unused beyond the bound; mu is held.
func (ps *pages) keep(p *page) {
	ps.byKey[p.key] = ps.recent.PushFront(p)
	ps.bytes += p.bytes
	for ps.bytes > ps.p.options.PageBytes {
		oldest := ps.recent.Back()
		dropped := ps.recent.Remove(oldest).(*page)
		delete(ps.byKey, dropped.key)
		ps.bytes -= dropped.bytes
	}
}

// clear forgets all pages.
func (ps *pages) clear() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	clear(ps.byKey)
	ps.recent.Init()
	ps.bytes = 0
}
