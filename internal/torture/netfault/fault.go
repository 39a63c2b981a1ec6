package netfault

import (
	"fmt"
	"time"
)

// Kind is what goes wrong with a connection.
type Kind int

// The kinds there are.
const (
	// None lets everything pass at once.
	None Kind = iota
	// Delay holds every piece back for Fault.Delay, in both directions.
	Delay
	// Throttle lets Fault.Rate bytes of the answer pass a second.
	Throttle
	// Lumps holds the answer back and lets it pass in one piece every
	// Fault.Delay, as a buffering proxy does.
	Lumps
	// CutAnswer cuts when Fault.After bytes of answers have passed, wherever
	// that is.
	CutAnswer
	// CutBeforeAnswer lets a request through whole, and cuts when its answer
	// begins: the first one after Fault.After bytes of answers.
	CutBeforeAnswer
	// CutRequest cuts when Fault.After bytes of requests have passed.
	CutRequest
	// Stall lets Fault.After bytes of answers pass, then nothing for
	// Fault.Delay; then it cuts.
	Stall
	// Refuse closes a new connection at once.
	Refuse

	kinds = iota
)

var kindNames = [kinds]string{
	"none", "delay", "throttle", "lumps", "cut in the answer", "cut before the answer", "cut in the request", "stall", "refuse",
}

func (k Kind) String() string {
	if k < 0 || int(k) >= kinds {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames[k]
}

// Fault is what happens to one connection, from its beginning.
type Fault struct {
	Kind Kind
	// After is a number of bytes; see the kinds.
	After int64
	Delay time.Duration
	Rate  int // bytes a second, above zero
	// Reset makes a cut a TCP reset instead of an orderly end.
	Reset bool
}

// lumpLimit is how much Lumps holds back at most.
const lumpLimit = 1 << 20
