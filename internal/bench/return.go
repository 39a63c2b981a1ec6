package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ReturnResult is how long it takes until everybody has what they missed, when
// all come back at the same moment to a server just started.
type ReturnResult struct {
	Readers       int           `json:"readers"`       // a user each
	Conversations int           `json:"conversations"` // of each reader
	Moved         int           `json:"moved"`         // of these
	Each          int           `json:"messages_each"`
	Rounds        []ReturnRound `json:"rounds"`
	// Medians over the rounds; the ratio is that of neighbouring sides.
	Last  float64 `json:"median_last_ms"`
	P50   float64 `json:"median_p50_ms"`
	P99   float64 `json:"median_p99_ms"`
	Ratio float64 `json:"median_ratio"`
}

// ReturnRound is a pair of neighbouring sides: all readers ask for their inbox,
// or, Plain, each for the events of one conversation. Times are from the moment
// at which all begin to ask to having read the answer; the largest is that of
// the last reader. Ratio is that of the last ones, inbox over plain.
type ReturnRound struct {
	Plain Latency `json:"plain"`
	Inbox Latency `json:"inbox"`
	Ratio float64 `json:"ratio"`
	// Server is the CPU that the server used for each reader of the inbox, in
	// microseconds.
	ServerCPU float64 `json:"server_cpu_us"`
}

const (
	returnBlock         = 50 // readers who share their conversations
	returnConversations = 10
	returnMoved         = 5
	returnEach          = 2
)

func measureReturn(ctx context.Context, o *Options, w *world) (*ReturnResult, error) {
	if err := needDescriptors(uint64(o.ReturnReaders) + spareDescriptors); err != nil {
		return nil, fmt.Errorf("return: %w", err)
	}
	people, err := w.people(ctx, "return", o.ReturnReaders)
	if err != nil {
		return nil, err
	}
	blocks, err := w.blocks(ctx, people, returnBlock, returnConversations)
	if err != nil {
		return nil, err
	}
	var cursors []string
	if err := w.alone(ctx, "setup", func(server *child) (err error) {
		if err := w.quiet(ctx); err != nil {
			return err
		}
		if cursors, err = firstCursors(ctx, server.addr, people); err != nil {
			return err
		}
		for _, conversations := range blocks {
			if err := sendEach(ctx, server.addr, w, conversations[:returnMoved], returnEach); err != nil {
				return err
			}
		}
		return w.quiet(ctx)
	}); err != nil {
		return nil, fmt.Errorf("return: %w", err)
	}
	r := &ReturnResult{
		Readers: len(people), Conversations: returnConversations, Moved: returnMoved, Each: returnEach,
	}
	moved := func(i int) []string { return blocks[i/returnBlock][:returnMoved] }
	for n := range o.Rounds {
		var round ReturnRound
		if round.Plain, _, err = w.rush(ctx, len(people), func(addr string, i int) ([]byte, *missed) {
			one := moved(i)[:1]
			return eventsRequest(addr, people[i].token, one[0], 1), newMissed(one, returnEach)
		}); err != nil {
			return nil, fmt.Errorf("return: plain: %w", err)
		}
		if round.Inbox, round.ServerCPU, err = w.rush(ctx, len(people), func(addr string, i int) ([]byte, *missed) {
			return inboxRequest(addr, people[i].token, cursors[i], 0), newMissed(moved(i), returnEach)
		}); err != nil {
			return nil, fmt.Errorf("return: %w", err)
		}
		round.Ratio = round.Inbox.Max / round.Plain.Max
		r.Rounds = append(r.Rounds, round)
		o.progress("return: round %d of %d: %d readers, the last after %.0f ms, p50 %.0f ms; one conversation each: %.0f ms",
			n+1, o.Rounds, len(people), round.Inbox.Max, round.Inbox.P50, round.Plain.Max)
	}
	r.Last = median(r.Rounds, func(r ReturnRound) float64 { return r.Inbox.Max })
	r.P50 = median(r.Rounds, func(r ReturnRound) float64 { return r.Inbox.P50 })
	r.P99 = median(r.Rounds, func(r ReturnRound) float64 { return r.Inbox.P99 })
	r.Ratio = median(r.Rounds, func(r ReturnRound) float64 { return r.Ratio })
	return r, nil
}

// rush starts a server and lets n readers ask it at the same moment, over
// connections that are open already. ask returns a reader's request and what
// the answer must hold.
func (w *world) rush(ctx context.Context, n int, ask func(addr string, i int) ([]byte, *missed)) (l Latency, serverCPU float64, err error) {
	err = w.alone(ctx, MeasureReturn, func(server *child) error {
		if err := wakeServer(ctx, server, w.users[0]); err != nil {
			return err
		}
		wires, err := dialAll(ctx, server.addr, n)
		if err != nil {
			return err
		}
		defer func() {
			for _, w := range wires {
				_ = w.Close() // its answer has been read, or the run has failed
			}
		}()
		used := cpuTime(server.pid())
		var wg sync.WaitGroup
		bodies, times, errs := make([][]byte, n), make(samples, n), make([]error, n)
		missing := make([]*missed, n)
		begin := make(chan struct{})
		var begun time.Time
		for i, w := range wires {
			var request []byte
			request, missing[i] = ask(server.addr, i)
			wg.Go(func() {
				<-begin
				status, body, err := w.do(request)
				times[i], bodies[i], errs[i] = time.Since(begun), body, err
				if err == nil && status != 200 {
					errs[i] = fmt.Errorf("a page answered %d: %s", status, body)
				}
			})
		}
		begun = time.Now()
		close(begin)
		wg.Wait()
		serverCPU = float64((cpuTime(server.pid()) - used).Microseconds()) / float64(n)
		if err := firstCause(errs); err != nil {
			return err
		}
		for i, body := range bodies {
			p, err := parsePage(body)
			if err == nil {
				err = errors.Join(missing[i].take(&p), missing[i].done())
			}
			if err != nil {
				return fmt.Errorf("reader %d: %w", i+1, err)
			}
		}
		l = times.latency()
		return nil
	})
	return l, serverCPU, err
}

// dialAll opens n connections.
func dialAll(ctx context.Context, addr string, n int) ([]*wire, error) {
	return openAll(ctx, n, "connections", func(int) (*wire, error) { return dial(addr, 8<<10) })
}
