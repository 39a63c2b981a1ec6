package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"holdline/internal/torture/history"
)

// blockSize is how many seqs of a log Porcupine is given at once. What it needs
// grows with the square of a history's length, and much faster with what
// overlaps, if there is no order to be found.
const blockSize = 200

// step is the input of the model: an append, which must bring the log to seq,
// or a read, which must find it there.
type step struct {
	append bool
	seq    int64
	what   string
}

// interval is a step with the time between its begin and end.
type interval struct {
	step
	begin, end int64
}

// checkLinearizable gives each conversation to Porcupine, as an append-only log
// that is sent to and freshly read.
func (c *checker) checkLinearizable() {
	reads := make(map[*conversation][]interval)
	for v, r := range c.freshReads() {
		what := r.Client + " read"
		if r.Kind == history.State {
			what = r.Client + " was shown"
		}
		reads[v] = append(reads[v], interval{step{false, r.seq, what}, r.Begin, r.End})
	}
	for _, v := range c.order {
		c.linearize(v, append(v.intervals(), reads[v]...))
	}
}

// intervals are the appends to a log: what was answered, at the seq of the
// answer, and what else the log holds, from the begin of what may have made it,
// or from ever, until ever.
func (v *conversation) intervals() []interval {
	var all []interval
	known := make(map[int64]bool, len(v.Log))
	for _, s := range v.sends {
		if s.answered == nil {
			continue
		}
		all = append(all, interval{step{true, s.answered.Seq, fmt.Sprintf("%s sent %q", s.Client, s.ClientID)}, s.begin, s.answered.End})
		known[s.answered.Seq] = true
	}
	for seq := int64(1); seq <= v.head; seq++ {
		if known[seq] {
			continue
		}
		i := interval{step{true, seq, "an append"}, 0, never}
		if e := v.appends[seq]; e != nil {
			i.begin, i.end = e.begin, e.end
		}
		all = append(all, i)
	}
	return all
}

// linearize checks one conversation. In any order that the model allows a read
// of seq stands between the appends of seq and seq+1, so the steps of a block of
// seqs come before all of the next block: the whole is linearizable if each
// block is and nothing of a later block was over before something of an earlier
// one began.
func (c *checker) linearize(v *conversation, all []interval) {
	blocks := make(map[int64][]interval)
	for _, i := range all {
		blocks[i.block()] = append(blocks[i.block()], i)
	}
	deadline := time.Now().Add(c.options.Timeout)
	var latest interval // the one that began last in the blocks so far
	for _, n := range slices.Sorted(maps.Keys(blocks)) {
		block := blocks[n]
		for _, i := range block {
			if i.end < latest.begin {
				c.violate(Linearizable, v.ID, "", "%s, over at %s, comes after %s, begun at %s", i.describe(), at(i.end), latest.describe(), at(latest.begin))
				return
			}
		}
		for _, i := range block {
			if i.begin > latest.begin {
				latest = i
			}
		}
		left := time.Until(deadline)
		result := porcupine.Unknown
		if left > 0 {
			result = linearizeBlock(n*blockSize, block, left)
		}
		switch result {
		case porcupine.Illegal:
			c.violate(Linearizable, v.ID, "", "no order of the %d sends and reads of the seqs %d to %d, each taking place between its begin and its end, "+
				"gives what they were answered", len(block), n*blockSize+1, (n+1)*blockSize)
			return
		case porcupine.Unknown:
			c.report.Undecided = append(c.report.Undecided, Undecided{v.ID, fmt.Sprintf("not decided within %s at seq %d of %d", c.options.Timeout, n*blockSize, v.head)})
			return
		}
		c.report.Counts.Linearized += len(block)
	}
}

// block numbers the block of an interval: appends that bring the log to seq
// 1 to blockSize, and reads that find it there, are block 0.
func (i *interval) block() int64 { return max(0, i.seq-1) / blockSize }

func (i *interval) describe() string { return fmt.Sprintf("%s seq %d", i.what, i.seq) }

// linearizeBlock asks Porcupine about steps on a log that ends at base.
func linearizeBlock(base int64, block []interval, timeout time.Duration) porcupine.CheckResult {
	model := porcupine.Model{
		Init: func() any { return base },
		Step: func(state, input, _ any) (bool, any) {
			head, s := state.(int64), input.(step)
			if s.append {
				return s.seq == head+1, s.seq
			}
			return s.seq == head, head
		},
		Hash: func(state any) uint64 { return uint64(state.(int64)) },
	}
	operations := make([]porcupine.Operation, len(block))
	for i, b := range block {
		operations[i] = porcupine.Operation{ClientId: i, Input: b.step, Call: b.begin, Return: b.end}
	}
	return porcupine.CheckOperationsTimeout(model, operations, timeout)
}
