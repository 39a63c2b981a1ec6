package poller

// ring is the newest events of one conversation, guarded by its topic's lock.
// Readers see it through views, without that lock: entries are only ever
// appended behind what a published view covers, and what falls off at the
// front stays readable until the array is given up.
type ring struct {
	entries    []*entry // oldest first, no gap
	bytes      int      // of entries
	stale      int      // entries that fell off and still lie in the array
	staleBytes int
}

// view is what readers of a topic see: its head, and the newest events, the
// last of which is the head. It never changes.
type view struct {
	head    int64 // -1: not known yet
	entries []*entry
}

// first is the oldest seq that the view holds; above head when it holds none.
func (v *view) first() int64 { return v.head - int64(len(v.entries)) + 1 }

// add appends the newest event, drops the oldest beyond the bounds, and
// returns by how much the memory held has grown.
func (r *ring) add(e *entry, maxEvents, maxBytes int) (grown int) {
	held := r.bytes + r.staleBytes
	if len(r.entries) == cap(r.entries) {
		r.stale, r.staleBytes = 0, 0 // append moves to a new array
	}
	r.entries = append(r.entries, e)
	r.bytes += e.size()
	for len(r.entries) > 1 && (len(r.entries) > maxEvents || r.bytes > maxBytes) {
		size := r.entries[0].size()
		r.entries = r.entries[1:]
		r.bytes -= size
		r.stale, r.staleBytes = r.stale+1, r.staleBytes+size
	}
	if r.stale > len(r.entries)+16 || r.staleBytes > maxBytes/2 {
		r.compact()
	}
	return r.bytes + r.staleBytes - held
}

// compact moves to a new array, so that what fell off can be freed. Its cost
// is paid for by the events that fell off since the last time.
func (r *ring) compact() {
	moved := make([]*entry, len(r.entries), len(r.entries)+len(r.entries)/2+16)
	copy(moved, r.entries)
	r.entries = moved
	r.stale, r.staleBytes = 0, 0
}

// clear forgets everything and returns the memory that was held.
func (r *ring) clear() (freed int) {
	freed = r.bytes + r.staleBytes
	*r = ring{}
	return freed
}
