package netfault

import (
	"net"
	"time"
)

// throttleStep is how often a throttled answer gets its share.
const throttleStep = 50 * time.Millisecond

// request returns what carries from the client to the server.
func (l *link) request() carrier {
	var passed int64
	return func(piece []byte, to net.Conn) (bool, time.Duration) {
		if len(piece) == 0 {
			return true, 0
		}
		switch l.kind() {
		case Delay:
			if !l.late() {
				return false, 0
			}
		case CutRequest:
			if room := l.fault.After - passed; int64(len(piece)) > room {
				l.strike()
				write(to, piece[:max(0, room)])
				l.cut(l.fault.Reset)
				return false, 0
			}
		default:
		}
		passed += int64(len(piece))
		l.requested.Store(true)
		return write(to, piece), 0
	}
}

// answer returns what carries from the server to the client.
func (l *link) answer() carrier {
	passed, whole := int64(0), l.pass
	switch l.fault.Kind {
	case Delay:
		whole = l.delayed
	case Throttle:
		whole = l.throttled
	case Lumps:
		return l.lumps()
	default:
	}
	return func(piece []byte, to net.Conn) (bool, time.Duration) {
		if len(piece) == 0 {
			return true, 0
		}
		begins := l.requested.Swap(false)
		room := l.fault.After - passed
		switch kind := l.kind(); {
		case (kind == CutAnswer || kind == Stall) && int64(len(piece)) > room:
			l.strike()
			if !write(to, piece[:max(0, room)]) || kind == Stall && !l.pause(l.fault.Delay) {
				return false, 0
			}
			if l.kind() == None { // calm came during the stall
				return write(to, piece[max(0, room):]), 0
			}
			l.cut(l.fault.Reset)
			return false, 0
		case kind == CutBeforeAnswer && begins && room <= 0:
			l.strike()
			l.cut(l.fault.Reset)
			return false, 0
		}
		passed += int64(len(piece))
		return whole(piece, to), 0
	}
}

func (l *link) pass(piece []byte, to net.Conn) bool { return write(to, piece) }

func (l *link) delayed(piece []byte, to net.Conn) bool {
	return (l.kind() != Delay || l.late()) && write(to, piece)
}

// late is the delay of one piece; false when the link was cut meanwhile.
func (l *link) late() bool {
	l.strike()
	return l.pause(l.fault.Delay)
}

func (l *link) throttled(piece []byte, to net.Conn) bool {
	share := max(1, int(int64(l.fault.Rate)*int64(throttleStep)/int64(time.Second)))
	for len(piece) > 0 && l.kind() == Throttle {
		n := min(share, len(piece))
		if !write(to, piece[:n]) {
			return false
		}
		piece = piece[n:]
		l.strike()
		if !l.pause(throttleStep) {
			return false
		}
	}
	return write(to, piece)
}

// lumps holds pieces back until the interval is over.
func (l *link) lumps() carrier {
	var held []byte
	var due time.Time
	return func(piece []byte, to net.Conn) (bool, time.Duration) {
		if l.kind() != Lumps {
			held = append(held, piece...)
			ok := write(to, held)
			held = nil
			return ok, 0
		}
		if len(held) == 0 && len(piece) > 0 {
			due = time.Now().Add(l.fault.Delay)
		}
		held = append(held, piece...)
		if len(held) == 0 {
			return true, 0
		}
		l.strike()
		left := time.Until(due)
		if left > 0 && len(held) < lumpLimit {
			return true, left
		}
		ok := write(to, held)
		held = held[:0]
		return ok, 0
	}
}
