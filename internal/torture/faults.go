package torture

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"holdline/internal/torture/netfault"
)

// trouble carries out the plan's faults. Those of one node's process, of its
// connections, of its clock, and of the database come one after another.
type trouble struct {
	run   *run
	mu    sync.Mutex
	state map[string]string // what is wrong just now, by whom
}

// target is what a fault strikes.
type target struct {
	node int
	part string // empty for the process, or the database
}

func (f *Fault) target() target {
	switch f.What {
	case Weather, Connections:
		return target{f.Node, connectionsOf}
	case Skew:
		return target{f.Node, clockOf}
	}
	return target{f.Node, ""}
}

// name is what the fault is counted as.
func (f *Fault) name() string {
	if f.Sky != "" {
		return string(f.What) + " " + f.Sky
	}
	return string(f.What)
}

// String says what is wrong while it lasts.
func (f *Fault) String() string {
	switch {
	case f.Ahead > 0:
		return fmt.Sprintf("%v ahead", f.Ahead.Round(time.Millisecond))
	case f.Ahead < 0:
		return fmt.Sprintf("%v behind", -f.Ahead.Round(time.Millisecond))
	case f.What == Connections:
		return "cut"
	}
	return f.name()
}

// The parts of a node, as they are called.
const (
	connectionsOf = "'s connections"
	clockOf       = "'s clock"
)

// carryOut runs until all faults are over or ctx ends. It leaves everything
// running either way, as far as that is possible.
func (t *trouble) carryOut(ctx context.Context) {
	lists := map[target][]Fault{}
	for _, f := range t.run.plan.Faults {
		key := f.target()
		lists[key] = append(lists[key], f)
	}
	var group sync.WaitGroup
	for _, list := range lists {
		group.Go(func() {
			for _, f := range list {
				if !pause(ctx, time.Until(t.run.begun.Add(f.At))) {
					return
				}
				t.strike(ctx, f)
			}
		})
	}
	group.Wait()
}

func (t *trouble) set(who, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if what == "" {
		delete(t.state, who)
		return
	}
	t.state[who] = what
}

// String says what is wrong just now.
func (t *trouble) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for _, n := range t.run.nodes {
		for _, who := range []string{n.name, n.name + connectionsOf, n.name + clockOf} {
			if what := t.state[who]; what != "" {
				all = append(all, who+": "+what)
			}
		}
	}
	if what := t.state["database"]; what != "" {
		all = append(all, "database: "+what)
	}
	return strings.Join(all, ", ")
}

func (t *trouble) strike(ctx context.Context, f Fault) {
	rec := t.run.rec
	if f.Node < 0 {
		t.strikeDatabase(ctx, f)
		return
	}
	n := t.run.nodes[f.Node]
	who := n.name + f.target().part
	what := f.String()
	rec.count(faultName + f.name())
	over := rec.fault("%s: %s for %v", who, what, f.Lasts.Round(time.Millisecond))
	t.set(who, what)
	defer func() {
		over()
		t.set(who, "")
	}()
	switch f.What {
	case Connections:
		n.proxy.Cut()
	case Weather:
		n.proxy.Weather(f.weather())
		pause(ctx, f.Lasts)
		n.proxy.Weather(func(int64) netfault.Fault { return netfault.Fault{} })
	case Skew:
		n.process.clock.Set(f.Ahead)
		pause(ctx, f.Lasts)
		n.process.clock.Set(0)
	case Pause:
		n.process.freeze()
		pause(ctx, f.Lasts)
		n.process.thaw()
	case Kill, Stop:
		if f.What == Kill {
			_ = n.process.kill() // never fails
		} else {
			n.process.stop()
		}
		pause(ctx, f.Lasts)
		t.again(n)
	default:
	}
}

// again starts a server anew, also when the run is being interrupted: what
// comes after needs it.
func (t *trouble) again(n *node) {
	if err := n.process.start(context.Background()); err != nil {
		t.run.rec.problem("%v", err)
	}
}

func (t *trouble) strikeDatabase(ctx context.Context, f Fault) {
	rec, db := t.run.rec, t.run.scratch
	rec.count(faultName + f.name())
	over := rec.fault("database: %s for %v", strings.TrimPrefix(string(f.What), "database "), f.Lasts.Round(time.Millisecond))
	t.set("database", strings.TrimPrefix(string(f.What), "database "))
	defer func() {
		over()
		t.set("database", "")
	}()
	// Whatever happens to the run, the database is brought back.
	always, cancel := context.WithTimeout(context.Background(), 3*databaseTimeout)
	defer cancel()
	var err error
	switch f.What {
	case Sessions:
		err = db.sessions(always)
	case DatabaseKill, DatabaseStop:
		if f.What == DatabaseKill {
			err = db.postmaster.Immediate(always)
		} else {
			err = db.postmaster.Stop(always)
		}
		if err == nil {
			pause(ctx, f.Lasts)
			err = db.postmaster.Start(always)
		}
	default:
	}
	if err != nil {
		t.run.fail(fmt.Errorf("the database: %w", err))
	}
}

// calm ends all faults, and waits until every server answers.
func (t *trouble) calm(ctx context.Context) error {
	for _, n := range t.run.nodes {
		n.proxy.Calm()
		if p := n.process; p != nil {
			p.thaw()
			if !p.running() {
				if err := p.start(ctx); err != nil {
					return err
				}
			}
		}
	}
	for _, n := range t.run.nodes {
		d := newDevice("calm", nil, []*node{n}, t.run.rec)
		err := d.must(ctx, "GET", "/readyz", nil, nil)
		d.close()
		if err != nil {
			return err
		}
	}
	return nil
}
