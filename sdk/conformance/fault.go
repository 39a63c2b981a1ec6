package conformance

import (
	"fmt"
	"time"

	"holdline/internal/torture/netfault"
)

// What can go wrong between client and server, by Command.Kind.
const (
	// FaultNone ends all faults.
	FaultNone = "none"
	// FaultCutSweep cuts connection i (from 0) after From + i*Step bytes of what the server sends, up to To; then no more.
	FaultCutSweep = "cut_sweep"
	// FaultCutEvery cuts all connections every MS milliseconds, until it has met some Count times.
	FaultCutEvery = "cut_every"
	// FaultCutAnswer lets the requests of the next Count connections through, and cuts when the answer begins.
	FaultCutAnswer = "cut_before_answer"
	// FaultBadGateway answers the next Count requests with 502 and a page of HTML.
	FaultBadGateway = "bad_gateway"
	// FaultPortal answers the next Count requests with 200 and a page of HTML, as networks do that want one to sign in.
	FaultPortal = "portal"
	// FaultSilence begins streams, and then sends nothing. Polls pass.
	FaultSilence = "silence"
	// FaultBuffering holds the answer of a stream back until it is whole, which it never is. Polls pass.
	FaultBuffering = "buffering"
	// FaultGarbled makes the text of each message whose text is Text a list, in the next Count frames and answers; in all if Count is 0.
	FaultGarbled = "garbled"
	// FaultDropped leaves the next Count frames out of streams whose text is Text; all if Count is 0. Polls pass.
	FaultDropped = "dropped"
	// FaultStall lets From bytes of what the server sends pass on each of the next Count connections, then nothing for MS.
	FaultStall = "stall"
)

// fault begins with cutting what is open, so that what follows meets it.
func (w *World) fault(c Command) error {
	count := int64(max(1, c.Count))
	switch c.Kind {
	case FaultNone:
		w.front.set("", "", 0)
		w.proxy.Calm()
		return nil
	case FaultCutSweep:
		step := int64(max(1, c.Step))
		w.weather(func(n int64) netfault.Fault {
			if after := int64(c.From) + n*step; after <= int64(c.To) {
				return netfault.Fault{Kind: netfault.CutAnswer, After: after, Reset: n%2 == 1}
			}
			return netfault.Fault{}
		})
	case FaultCutAnswer:
		w.weather(upTo(count, netfault.Fault{Kind: netfault.CutBeforeAnswer}))
	case FaultStall:
		w.weather(upTo(count, netfault.Fault{Kind: netfault.Stall, After: int64(c.From), Delay: time.Duration(c.MS) * time.Millisecond}))
	case FaultCutEvery:
		w.cutting.Go(func() { w.cutEvery(time.Duration(max(1, c.MS))*time.Millisecond, count) })
	case FaultBadGateway, FaultPortal:
		w.front.set(c.Kind, "", int(count))
		w.proxy.Cut()
	case FaultSilence, FaultBuffering:
		w.front.set(c.Kind, "", -1)
		w.proxy.Cut()
	case FaultGarbled, FaultDropped:
		times := c.Count
		if times == 0 {
			times = -1
		}
		w.front.set(c.Kind, c.Text, times)
		w.proxy.Cut()
	default:
		return fmt.Errorf("there is no fault %q", c.Kind)
	}
	return nil
}

// weather counts connections from here on.
func (w *World) weather(fault func(n int64) netfault.Fault) {
	first := int64(-1)
	w.proxy.Weather(func(n int64) netfault.Fault {
		if first < 0 {
			first = n
		}
		return fault(n - first)
	})
	w.proxy.Cut()
}

func upTo(count int64, f netfault.Fault) func(int64) netfault.Fault {
	return func(n int64) netfault.Fault {
		if n < count {
			return f
		}
		return netfault.Fault{}
	}
}

func (w *World) cutEvery(every time.Duration, count int64) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for count > 0 {
		select {
		case <-tick.C:
			if cut := w.proxy.Cut(); cut > 0 { // else the client has not come back yet
				w.cuts.Add(int64(cut))
				count--
			}
		case <-w.stop:
			return
		}
	}
}

// struck is how many connections and requests a fault has met so far.
func (w *World) struck() int {
	n := w.cuts.Load()
	for _, kind := range []netfault.Kind{netfault.CutAnswer, netfault.CutBeforeAnswer, netfault.Stall} {
		n += w.proxy.Struck(kind)
	}
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	return int(n) + w.front.struck
}
