package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// IdleResult is what readers cost that wait and get nothing: by what is
// resident, or, where InUseKiB is given, by what Go has from the system.
type IdleResult struct {
	Readers       int   `json:"readers"`
	Conversations int   `json:"conversations"` // over which they are spread
	BeforeKiB     int64 `json:"before_kib"`    // with the server warmed up
	ConnectedKiB  int64 `json:"connected_kib"` // when all were connected
	HeldKiB       int64 `json:"held_kib"`      // at the end of the hold
	// InUseKiB is what was left when the server had collected its garbage, and
	// InUsePerReader the growth to that.
	InUseKiB       int64   `json:"in_use_kib,omitempty"`
	InUsePerReader float64 `json:"in_use_per_reader_kib,omitempty"`
	// PerReader is the growth in KiB per reader: of what is resident to the larger
	// of the two, of Go's to the end of the hold, when what connecting took has
	// been given back. What the kernel keeps for a socket is not in it.
	PerReader float64 `json:"per_reader_kib"`
	// HoldSeconds is how long they were held; CPUMillis what the server used
	// meanwhile, in milliseconds of CPU per second.
	HoldSeconds float64 `json:"hold_seconds"`
	CPUMillis   float64 `json:"cpu_ms_per_second"`
	// Heartbeats is how many of the readers got one while they were held.
	Heartbeats int `json:"heartbeats"`
}

// spareDescriptors is what a process needs beside the readers' sockets.
const spareDescriptors = 256

// warmUpReaders connect and leave before memory is read for the first time, so
// that what the first of them makes once is not counted as growth.
const warmUpReaders = 64

func measureIdle(ctx context.Context, o *Options, w *world) (*IdleResult, error) {
	if err := needDescriptors(uint64(o.IdleReaders) + spareDescriptors); err != nil {
		return nil, fmt.Errorf("idle: %w", err)
	}
	conversations, err := w.groups(ctx, o.Conversations)
	if err != nil {
		return nil, err
	}
	r, err := w.idle(ctx, idling{
		name: MeasureIdle, readers: o.IdleReaders, conversations: len(conversations), hold: o.IdleHold,
		open: streamsThat(func(addr string, i int) []byte {
			// The readers of one conversation are different users, as far as there are.
			return streamRequest(addr, conversations[i%len(conversations)], w.users[i/len(conversations)%len(w.users)].token, 1)
		}),
	})
	return &r, err
}

// idling is a crowd that gets nothing.
type idling struct {
	name                   string // of the measurement
	readers, conversations int
	hold                   time.Duration
	// inGo: what Go has from the system is measured, with the server's garbage
	// collected before, not what is resident.
	inGo bool
	open func(ctx context.Context, server *child, n int) (idlers, error)
}

// idlers are the connections of an open crowd.
type idlers interface {
	// stillThere returns how many had heartbeats; one that has ended is an error.
	stillThere() (heartbeats int, err error)
	close()
}

// idle opens a crowd on a fresh server and reads the server's memory. (On one
// that is not, what hashing passwords left behind would hide growth.)
func (w *world) idle(ctx context.Context, i idling) (r IdleResult, err error) {
	r = IdleResult{Readers: i.readers, Conversations: i.conversations}
	beside := func(fn func(server *child, memory func(ask byte) (int64, error)) error) error {
		if !i.inGo {
			return w.alone(ctx, i.name, func(server *child) error {
				return fn(server, func(byte) (int64, error) { return settledRSS(ctx, server) })
			})
		}
		return w.withSocket(ctx, "--memory", func(server *child, socket string) error {
			return fn(server, func(ask byte) (int64, error) { return readMemory(ctx, socket, ask) })
		})
	}
	err = beside(func(server *child, memory func(ask byte) (int64, error)) error {
		warm, err := i.open(ctx, server, min(warmUpReaders, i.readers))
		if err != nil {
			return err
		}
		warm.close()
		if r.BeforeKiB, err = memory(askCollected); err != nil {
			return err
		}
		crowd, err := i.open(ctx, server, i.readers)
		if err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		defer crowd.close()
		if r.ConnectedKiB, err = memory(askMemory); err != nil {
			return err
		}
		w.o.progress("%s: %d readers connected, %.1f KiB each; holding them for %v",
			i.name, i.readers, float64(r.ConnectedKiB-r.BeforeKiB)/float64(i.readers), i.hold)
		held, used := time.Now(), cpuTime(server.pid())
		if _, err := (pace{start: held.Add(i.hold)}).wait(ctx, 0); err != nil {
			return err
		}
		r.HoldSeconds = time.Since(held).Seconds()
		r.CPUMillis = millis(cpuTime(server.pid())-used) / max(r.HoldSeconds, 0.001)
		if r.HeldKiB, err = memory(askMemory); err != nil {
			return err
		}
		if i.inGo {
			if r.InUseKiB, err = memory(askCollected); err != nil {
				return err
			}
			r.InUsePerReader = float64(r.InUseKiB-r.BeforeKiB) / float64(i.readers)
		}
		grown := max(r.ConnectedKiB, r.HeldKiB)
		if i.inGo {
			grown = r.HeldKiB
		}
		r.PerReader = float64(grown-r.BeforeKiB) / float64(i.readers)
		r.Heartbeats, err = crowd.stillThere()
		w.o.progress("%s: %.1f KiB each at the end, %d of %d had heartbeats", i.name, r.PerReader, r.Heartbeats, i.readers)
		return err
	})
	return r, err
}

// idleStreams are streams that nobody reads.
type idleStreams []*stream

func streamsThat(request func(addr string, i int) []byte) func(ctx context.Context, server *child, n int) (idlers, error) {
	return func(ctx context.Context, server *child, n int) (idlers, error) {
		s, err := openStreams(ctx, server.addr, n, 512, func(i int) []byte { return request(server.addr, i) })
		return idleStreams(s), err
	}
}

func (s idleStreams) close() { closeAll(s) }

// stillThere reads what has come on each stream since it was opened, and
// counts those with a heartbeat beyond the first, which opens every stream. An
// ended stream is an error: its memory was not measured.
func (s idleStreams) stillThere() (heartbeats int, err error) {
	for i, one := range s {
		seen := 0
		count := func(frame []byte) {
			if isHeartbeat(frame) {
				seen++
			}
		}
		// Everything has long arrived, so that a short wait tells the end of it.
		if err := one.w.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
			return heartbeats, err
		}
		for {
			err := one.read(count)
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			if err != nil {
				return heartbeats, fmt.Errorf("idle: reader %d of %d was cut: %w", i+1, len(s), err)
			}
			if seen > 1 {
				break
			}
		}
		if seen > 1 {
			heartbeats++
		}
	}
	return heartbeats, nil
}

// settledRSS reads the server's resident set until it has changed by less than
// one percent within a second, for ten seconds at most.
func settledRSS(ctx context.Context, server *child) (int64, error) {
	before, err := residentKiB(server.pid())
	if err != nil {
		return 0, err
	}
	p := pace{start: time.Now(), interval: time.Second}
	for i := 1; i <= 10; i++ {
		if _, err := p.wait(ctx, i); err != nil {
			return 0, err
		}
		now, err := residentKiB(server.pid())
		if err != nil {
			return 0, err
		}
		if diff := now - before; max(diff, -diff)*100 < now {
			return now, nil
		}
		before = now
	}
	return before, nil
}

// calm waits until the server has used less than a twentieth of a core for half
// a second, for ten seconds at most: it has taken in what it was sent.
func calm(ctx context.Context, server *child) error {
	const interval = 500 * time.Millisecond
	p := pace{start: time.Now(), interval: interval}
	before := cpuTime(server.pid())
	for i := 1; i <= 20; i++ {
		if _, err := p.wait(ctx, i); err != nil {
			return err
		}
		now := cpuTime(server.pid())
		if now-before < interval/20 {
			break
		}
		before = now
	}
	return nil
}
