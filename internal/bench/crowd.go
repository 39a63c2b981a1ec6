package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// dialsAtOnce bounds the streams that are being opened at one time; it is
// below every listen backlog.
const dialsAtOnce = 64

// connection is a pointer to what holds one; nil where none was opened.
type connection interface {
	comparable
	io.Closer
}

// openAll opens n of something, what it is called, dialsAtOnce at a time. On an
// error none stays open, also of those that open returned beside one.
func openAll[T connection](ctx context.Context, n int, what string, open func(i int) (T, error)) ([]T, error) {
	all := make([]T, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(dialsAtOnce)
	for i := range all {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			all[i], err = open(i)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		closeAll(all)
		return nil, fmt.Errorf("opening %d %s: %w", n, what, err)
	}
	return all, nil
}

// closeAll leaves; what the connections still had to say is of no interest.
func closeAll[T connection](all []T) {
	var none T
	for _, one := range all {
		if one != none {
			_ = one.Close()
		}
	}
}

// openStreams opens n streams; request(i) is that of the i-th.
func openStreams(ctx context.Context, addr string, n, bufferSize int, request func(i int) []byte) ([]*stream, error) {
	return openAll(ctx, n, "streams", func(i int) (*stream, error) { return openStream(addr, request(i), bufferSize) })
}

// crowd is many readers of one conversation, a goroutine each.
type crowd struct {
	streams []*stream
	missing atomic.Int64              // readers that have not yet had the event that is waited for
	first   atomic.Pointer[time.Time] // when the first of them had it
	last    chan time.Time            // when the last of them had it
	failed  chan error                // why a reader ended
	closing atomic.Bool
	wg      sync.WaitGroup
}

func startCrowd(streams []*stream) *crowd {
	c := &crowd{streams: streams, last: make(chan time.Time, 1), failed: make(chan error, len(streams))}
	for _, s := range streams {
		c.wg.Go(func() {
			got := func(frame []byte) {
				if _, ok := frameSeq(frame); !ok {
					return
				}
				missing := int(c.missing.Add(-1))
				if missing == len(streams)-1 {
					now := time.Now()
					c.first.Store(&now)
				}
				if missing == 0 {
					c.last <- time.Now()
				}
			}
			for {
				if err := s.read(got); err != nil {
					if !c.closing.Load() {
						c.failed <- err
					}
					return
				}
			}
		})
	}
	return c
}

// expect arms the crowd for one event for each reader.
func (c *crowd) expect() { c.missing.Store(int64(len(c.streams))) }

// wait returns the moments at which the first and the last reader had the event.
func (c *crowd) wait(ctx context.Context) (first, last time.Time, err error) {
	timeout := time.NewTimer(ioTimeout)
	defer timeout.Stop()
	select {
	case last := <-c.last:
		return *c.first.Load(), last, nil
	case err := <-c.failed:
		return first, last, fmt.Errorf("a reader's stream ended: %w", err)
	case <-timeout.C:
		return first, last, fmt.Errorf("%d of %d readers had not received the event after %v", c.missing.Load(), len(c.streams), ioTimeout)
	case <-ctx.Done():
		return first, last, ctx.Err()
	}
}

// close ends all readers and waits for them.
func (c *crowd) close() {
	c.closing.Store(true)
	closeAll(c.streams)
	c.wg.Wait()
}

// firstFrame waits for a stream's next log event and returns its bytes.
func firstFrame(s *stream) ([]byte, error) {
	if err := s.w.conn.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	var frame []byte
	for frame == nil {
		err := s.read(func(f []byte) {
			if _, ok := frameSeq(f); ok && frame == nil {
				frame = append(frame, f...)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("waiting for an event: %w", err)
		}
	}
	if err := s.w.conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return frame, nil
}
