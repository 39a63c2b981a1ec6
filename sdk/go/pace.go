package holdline

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pace is how long is waited after a failure. The zero value will do.
type Pace struct {
	// Min is about the wait after the first failure (0: 500 ms). It doubles with each further one.
	Min time.Duration
	// Max is the longest wait that grows so (0: 30 s).
	Max time.Duration
	// MaxHint is up to where a longer wait that the server asks for is honoured, by Retry-After or `retry:` (0: 2 min).
	MaxHint time.Duration
}

func (p Pace) orDefault() Pace {
	p.Min = orDefault(p.Min, 500*time.Millisecond)
	p.Max = max(p.Min, orDefault(p.Max, 30*time.Second))
	p.MaxHint = orDefault(p.MaxHint, 2*time.Minute)
	return p
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// after is the wait after a number of failures in a row, and after what the server asked for. It is jittered, so that
// clients that lost the same server do not come back together.
func (p Pace) after(failures int, hint time.Duration) time.Duration {
	ceiling := p.Max
	if shift := max(0, failures-1); shift < 32 && p.Min<<shift < p.Max && p.Min<<shift > 0 {
		ceiling = p.Min << shift
	}
	hint = min(hint, p.MaxHint)
	// The hint is a least: jitter goes on top, a tenth of it.
	return max(ceiling/2+rand.N(ceiling/2+1), hint+rand.N(hint/10+1))
}

// pause waits; it returns the context's error if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
