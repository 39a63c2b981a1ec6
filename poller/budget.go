package poller

// budget collects frames up to its bounds.
type budget struct {
	frames []Frame
	events int
	bytes  int
	fit    func(Frame) bool // in place of bytes
	taken  bool
	err    error
}

func (b *budget) take(f Frame) bool {
	size := f.Len()
	switch {
	case b.events == 0:
		return false
	case b.fit != nil:
		if !b.fit(f) {
			b.events = 0
			return false
		}
	case b.taken && size > b.bytes:
		b.events = 0
		return false
	}
	b.taken = true
	b.events--
	b.bytes -= size
	b.frames = append(b.frames, f)
	return true
}
