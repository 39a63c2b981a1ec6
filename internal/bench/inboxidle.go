package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// InboxIdleResult is what inboxes cost that wait and get nothing. Each reader
// is a user of their own, since what an inbox follows is kept once a user.
type InboxIdleResult struct {
	Conversations int        `json:"conversations"` // of each reader
	Plain         IdleResult `json:"plain"`         // the same users, a stream of one conversation each
	Streams       IdleResult `json:"streams"`       // their inboxes as streams
	Polls         IdleResult `json:"polls"`         // their inboxes as long-polls
	// Above is what an inbox's stream costs above a plain one, in KiB.
	Above float64 `json:"above_plain_kib"`
}

const (
	// inboxIdleBlock is how many readers share their conversations: few enough
	// that receipts are told.
	inboxIdleBlock = 200
	// pollWait is the longest wait that may be asked for, in seconds; pollHold
	// bounds the hold, so that memory is read before the first poll ends.
	pollWait = 50
	pollHold = 25 * time.Second
)

func measureInboxIdle(ctx context.Context, o *Options, w *world) (*InboxIdleResult, error) {
	n := o.InboxIdleReaders
	if err := needDescriptors(uint64(n) + spareDescriptors); err != nil {
		return nil, fmt.Errorf("inboxidle: %w", err)
	}
	o.progress("inboxidle: making %d users with %d conversations each", n, o.InboxIdleConversations)
	people, err := w.people(ctx, "idle", n)
	if err != nil {
		return nil, err
	}
	blocks, err := w.blocks(ctx, people, inboxIdleBlock, o.InboxIdleConversations)
	if err != nil {
		return nil, err
	}
	// On a server of its own: the first answers hold whole lists of conversations.
	var cursors []string
	if err := w.alone(ctx, "setup", func(server *child) (err error) {
		if err := w.quiet(ctx); err != nil {
			return err
		}
		cursors, err = firstCursors(ctx, server.addr, people)
		return err
	}); err != nil {
		return nil, fmt.Errorf("inboxidle: %w", err)
	}
	r := &InboxIdleResult{Conversations: o.InboxIdleConversations}
	in := idling{
		name: MeasureInboxIdle, readers: n, conversations: len(blocks) * o.InboxIdleConversations, hold: o.IdleHold, inGo: true,
	}
	in.open = streamsThat(func(addr string, i int) []byte {
		own := blocks[i/inboxIdleBlock]
		return streamRequest(addr, own[i%len(own)], people[i].token, 1)
	})
	if r.Plain, err = w.idle(ctx, in); err != nil {
		return nil, err
	}
	in.open = streamsThat(func(addr string, i int) []byte { return inboxStreamRequest(addr, people[i].token, cursors[i]) })
	if r.Streams, err = w.idle(ctx, in); err != nil {
		return nil, err
	}
	in.hold = min(o.IdleHold, pollHold)
	in.open = func(ctx context.Context, server *child, n int) (idlers, error) {
		return openPolls(ctx, server, n, func(i, wait int) []byte {
			return inboxRequest(server.addr, people[i].token, cursors[i], wait)
		})
	}
	r.Polls, err = w.idle(ctx, in)
	r.Above = r.Streams.PerReader - r.Plain.PerReader
	return r, err
}

// idlePolls are long-polls that have not been answered.
type idlePolls []*wire

// openPolls opens a crowd of polls: each client asks once without waiting before
// it waits, as one that has just been given something.
func openPolls(ctx context.Context, server *child, n int, request func(i, wait int) []byte) (idlers, error) {
	polls, err := openAll(ctx, n, "polls", func(i int) (*wire, error) {
		w, err := dial(server.addr, 8<<10)
		if err == nil {
			_, err = page(w, request(i, 0))
		}
		if err == nil {
			_, err = w.conn.Write(request(i, pollWait))
		}
		return w, err
	})
	if err != nil {
		return nil, err
	}
	if err := calm(ctx, server); err != nil { // nothing tells a client that its poll waits now
		closeAll(polls)
		return nil, err
	}
	return idlePolls(polls), nil
}

func (p idlePolls) close() { closeAll(p) }

// stillThere sees to it that every poll is still waiting: the memory of one
// that was answered was not measured. Polls have no heartbeats.
func (p idlePolls) stillThere() (heartbeats int, err error) {
	var g errgroup.Group
	g.SetLimit(dialsAtOnce)
	for i, w := range p {
		g.Go(func() error {
			// An answer has long arrived, so that a short wait tells.
			if err := w.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
				return err
			}
			err := w.fill()
			var timeout interface{ Timeout() bool }
			switch {
			case errors.As(err, &timeout) && timeout.Timeout():
				return nil
			case err != nil:
				return fmt.Errorf("poll %d of %d was cut: %w", i+1, len(p), err)
			}
			return fmt.Errorf("poll %d of %d was answered before memory was read: %.300s", i+1, len(p), w.buf[w.start:w.end])
		})
	}
	return 0, g.Wait()
}
