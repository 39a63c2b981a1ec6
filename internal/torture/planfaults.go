package torture

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"holdline/internal/torture/netfault"
)

// skies are the kinds of weather: of a hundred connections, how many get what.
// The rest get nothing.
var skies = map[string][]share{
	"cuts": {
		{netfault.CutAnswer, 35}, {netfault.CutBeforeAnswer, 30}, {netfault.CutRequest, 15}, {netfault.Refuse, 10},
	},
	"slow": {
		{netfault.Delay, 40}, {netfault.Throttle, 25}, {netfault.Lumps, 25},
	},
	"buffers": {
		{netfault.Lumps, 70}, {netfault.CutAnswer, 10},
	},
	"storm": {
		{netfault.Delay, 15}, {netfault.Throttle, 8}, {netfault.Lumps, 15}, {netfault.CutAnswer, 20},
		{netfault.CutBeforeAnswer, 15}, {netfault.CutRequest, 5}, {netfault.Stall, 8}, {netfault.Refuse, 4},
	},
}

type share struct {
	kind    netfault.Kind
	percent int
}

// skyNames are the keys of skies, in an order.
var skyNames = slices.Sorted(maps.Keys(skies))

// weather is what a Fault makes of the connections that are opened under it:
// the n-th always gets the same.
func (f Fault) weather() func(n int64) netfault.Fault {
	shares := skies[f.Sky]
	return func(n int64) netfault.Fault {
		r := rand.New(rand.NewPCG(uint64(f.Seed), uint64(n)))
		left := r.IntN(100)
		for _, s := range shares {
			if left -= s.percent; left < 0 {
				return oneFault(r, s.kind)
			}
		}
		return netfault.Fault{}
	}
}

// oneFault gives a kind of fault its measures.
func oneFault(r *rand.Rand, kind netfault.Kind) netfault.Fault {
	f := netfault.Fault{Kind: kind, Reset: r.IntN(2) == 0}
	switch kind {
	case netfault.Delay:
		f.Delay = time.Duration(2+r.IntN(150)) * time.Millisecond
	case netfault.Throttle:
		f.Rate = 4_000 + r.IntN(60_000)
	case netfault.Lumps:
		f.Delay = time.Duration(100+r.IntN(2500)) * time.Millisecond
	case netfault.CutAnswer:
		f.After = int64(r.IntN(6000))
	case netfault.CutBeforeAnswer:
		f.After = int64(r.IntN(3000))
	case netfault.CutRequest:
		f.After = int64(r.IntN(2500))
	case netfault.Stall:
		f.After, f.Delay = int64(r.IntN(4000)), time.Duration(500+r.IntN(3000))*time.Millisecond
	default:
	}
	return f
}

// faults plans what goes wrong: each node and the database have troubles of
// their own, one after another, which may overlap with those of the others.
func (p *planner) faults() {
	for node := range p.Scale.Nodes {
		p.changingWeather(node)
		if p.Scale.Processes {
			// With several nodes each is left alone for longer, so that the
			// others have something to carry on.
			p.troubles(node, time.Second, time.Duration(2+2*p.Scale.Nodes)*time.Second, []What{Pause, Kill, Kill, Stop})
			p.wrongClocks(node)
		}
	}
	switch {
	case p.Scale.Database:
		p.troubles(-1, 2*time.Second, 7*time.Second, []What{DatabaseKill, DatabaseStop, Sessions})
	case p.Scale.Sessions:
		p.troubles(-1, 2*time.Second, 5*time.Second, []What{Sessions})
	}
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
}

func (p *planner) changingWeather(node int) {
	for at := p.between(0, p.part(10)); at < p.Scale.Duration; {
		f := Fault{At: at, Lasts: p.between(time.Second, 4*time.Second), What: Weather, Node: node, Sky: skyNames[p.rand.IntN(len(skyNames))], Seed: p.rand.Int64()}
		if p.chance(20) {
			f = Fault{At: at, What: Connections, Node: node}
		}
		p.Faults = append(p.Faults, f)
		at += f.Lasts + p.between(200*time.Millisecond, 2*time.Second)
	}
}

func (p *planner) troubles(node int, least, most time.Duration, whats []What) {
	for at, n := p.between(least, most), 0; at < p.Scale.Duration; n++ {
		if n%len(whats) == 0 { // all of them before any again
			p.rand.Shuffle(len(whats), func(i, j int) { whats[i], whats[j] = whats[j], whats[i] })
		}
		f := Fault{At: at, What: whats[n%len(whats)], Node: node}
		switch f.What {
		case Pause:
			f.Lasts = p.between(100*time.Millisecond, 3*time.Second)
		case Kill, Stop, DatabaseKill, DatabaseStop:
			f.Lasts = p.between(0, 2*time.Second)
		default:
		}
		p.Faults = append(p.Faults, f)
		at += f.Lasts + p.between(least, most)
	}
}

// wrongClocks sets a node's clock by a second up to a day, forward or back.
func (p *planner) wrongClocks(node int) {
	for at := p.between(0, 2*time.Second); at < p.Scale.Duration; {
		most := []time.Duration{5 * time.Second, time.Hour, 24 * time.Hour}[p.rand.IntN(3)]
		f := Fault{At: at, Lasts: p.between(500*time.Millisecond, 4*time.Second), What: Skew, Node: node, Ahead: p.between(time.Second, most)}
		if p.chance(50) {
			f.Ahead = -f.Ahead
		}
		p.Faults = append(p.Faults, f)
		at += f.Lasts + p.between(500*time.Millisecond, 4*time.Second)
	}
}
