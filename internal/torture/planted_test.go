package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"holdline/internal/harness"
	"holdline/internal/planted"
	"holdline/internal/testdb"
	"holdline/internal/torture/check"
)

// crop says how a planted fault is brought to light: what breaks, and the run in
// which it does.
type crop struct {
	fault   planted.Fault
	promise check.Promise

	nodes    int // 1 is on SQLite, more are on PostgreSQL
	rate     int
	duration time.Duration
	// likely reports whether a plan gives the fault an opportunity.
	likely func(*Plan) bool
}

// crops are the faults that one server on SQLite, or two on PostgreSQL, show.
var crops = []crop{
	{fault: planted.AckBeforeCommit, promise: check.Durable, rate: 120, likely: amidst(Kill, 2)},
	{fault: planted.SeqReused, promise: check.SeenAsStored, likely: amidst(Kill, 2)},
	{fault: planted.BatchLosesOne, promise: check.Durable},
	{fault: planted.ClientIDForgotten, promise: check.Once},
	{fault: planted.ClockTrusted, promise: check.TimeNeverFalls, likely: often(Skew)},
	{fault: planted.StaleMembership, promise: check.Membership, rate: 200, duration: 6 * time.Second},
	{fault: planted.OffByOneResume, promise: check.SeenWhole},
	{fault: planted.StreamReordered, promise: check.SeenInOrder},
	{fault: planted.DeliveryAfterRemoval, promise: check.SeenByMembers, rate: 120, duration: 6 * time.Second},
	{fault: planted.CursorSkipsConversation, promise: check.SeenWhole},
	{fault: planted.UnreadCountsOwn, promise: check.Unread},
	{fault: planted.ReceiptBeforeFact, promise: check.ReceiptsAfterFact},
	{fault: planted.ReceiptsGoBack, promise: check.ReceiptsForward, rate: 120, likely: calm},

	{fault: planted.HintTrusted, promise: check.FreshReads, nodes: 2, rate: 200, duration: 6 * time.Second},
	{fault: planted.FalseReset, promise: check.NoFalseReset, nodes: 2, rate: 120},
	{fault: planted.BatchReordered, promise: check.Durable, nodes: 2, rate: 120},
	{fault: planted.HorizonClosedEarly, promise: check.SeenWhole, nodes: 2, rate: 150, duration: 6 * time.Second},
}

// often says that a plan does something at least twice, early enough for
// something to come of it.
func often(what What) func(*Plan) bool {
	return func(p *Plan) bool { return p.count(what, func(Fault) bool { return true }) >= 2 }
}

// amidst says that a plan does something so many times when the servers were
// left alone for a while before, so that there is something to lose.
func amidst(what What, times int) func(*Plan) bool {
	return func(p *Plan) bool {
		return p.count(what, func(f Fault) bool {
			return !slices.ContainsFunc(p.Faults, func(o Fault) bool {
				return o != f && slices.Contains([]What{Kill, Stop, Pause, DatabaseStop, DatabaseKill, Sessions}, o.What) &&
					o.At <= f.At && o.At+o.Lasts > f.At-time.Second
			})
		}) >= times
	}
}

func (p *Plan) count(what What, where func(Fault) bool) int {
	n := 0
	for _, f := range p.Faults {
		if f.What == what && f.At < p.part(95) && where(f) {
			n++
		}
	}
	return n
}

// calm says that a plan leaves the servers alone for long enough to get much done.
func calm(p *Plan) bool {
	return !slices.ContainsFunc(p.Faults, func(f Fault) bool {
		return slices.Contains([]What{Kill, Stop, Pause}, f.What) && f.At < p.part(70)
	})
}

func (p *Plan) part(percent int) time.Duration {
	return p.Scale.Duration * time.Duration(percent) / 100
}

const (
	atOnce      = 4 // runs at the same time: most of their time they wait
	cropTries   = 5 // plans that a fault is looked for in
	cropTimeout = 3 * time.Minute
)

// options are those of the run, but for what only a test in this process needs.
func (c *crop) options() Options {
	o := Options{Nodes: max(1, c.nodes), Hints: "off", Duration: 5 * time.Second, Clients: 12, Rate: 80, Patience: 10 * time.Second}
	if c.nodes > 1 {
		o.Database = "postgres://"
	}
	if c.rate > 0 {
		o.Rate = c.rate
	}
	if c.duration > 0 {
		o.Duration = c.duration
	}
	return o
}

// seeds are the first ones whose plans are likely to show the fault.
func (c *crop) seeds(o Options) []int64 {
	var all []int64
	for o.Seed = 1; len(all) < cropTries; o.Seed++ {
		if c.likely == nil || c.likely(NewPlan(o.scale(0))) {
			all = append(all, o.Seed)
		}
	}
	return all
}

// TestPlantedFaultsAreFound shows that the checker is worth something: each
// mistake that could be made in the server breaks the promise that it should.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	p := newPlanter(t)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, c := range crops {
		group.Go(func() error {
			o := c.options()
			for _, seed := range c.seeds(o) {
				o.Seed = seed
				status, out, err := p.torture(c.fault, o)
				if err != nil {
					return err
				}
				t.Logf("%s, seed %d: status %d: %q", c.fault, seed, status, verdictLines(out))
				if status == 1 && strings.Contains(out, "\nBROKEN "+string(c.promise)+",") {
					return nil
				}
			}
			t.Errorf("%s is not found to break %s", c.fault, c.promise)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// A commit that is not on the disk is lost only when the database crashes, and a
// run has that in its hands only on a PostgreSQL server of its own.
func TestACommitThatIsNotDurableIsFound(t *testing.T) {
	t.Parallel()
	c := crop{fault: planted.CommitNotDurable, promise: check.Durable, rate: 120, duration: 6 * time.Second, likely: amidst(DatabaseKill, 1)}
	o := c.options()
	o.Program, o.Postmaster, o.Progress = harness.Planted(t), cluster(t), t.Output()
	o.ServeEnv = []string{planted.Env + "=" + string(c.fault)}
	for _, o.Seed = range c.seeds(o) {
		o.Keep = t.TempDir()
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Check.Totals[c.promise] > 0 && !r.OK() {
			return
		}
		t.Logf("seed %d does not show it: %v %v", o.Seed, r.Check.Totals, r.Problems)
	}
	t.Errorf("%s is not found to break %s", c.fault, c.promise)
}

// The same program without a fault keeps every promise in the same runs.
func TestWithoutAPlantedFaultAllPromisesHold(t *testing.T) {
	t.Parallel()
	p := newPlanter(t)
	for _, c := range []crop{{likely: often(Kill)}, {nodes: 2, rate: 120}} {
		o := c.options()
		o.Seed, o.Patience = c.seeds(o)[0], 0
		if status, out, err := p.torture("", o); err != nil || status != 0 || !strings.Contains(out, "promises held") {
			t.Errorf("%v, status %d\n%s", err, status, out)
		}
	}
}

// All faults are brought to light by one of these tests.
func TestNoPlantedFaultIsLeftOut(t *testing.T) {
	for _, fault := range planted.All {
		if fault != planted.CommitNotDurable && !slices.ContainsFunc(crops, func(c crop) bool { return c.fault == fault }) {
			t.Errorf("no run looks for %s", fault)
		}
	}
}

// planter runs the command with a fault in its servers.
type planter struct {
	ctx                       context.Context
	program, database, folder string
}

func newPlanter(t *testing.T) *planter {
	return &planter{ctx: t.Context(), program: harness.Planted(t), database: testdb.Postgres(t), folder: t.TempDir()}
}

// torture returns the command's exit status, 0 or 1, and what it printed.
func (p *planter) torture(fault planted.Fault, o Options) (status int, out string, err error) {
	seed := strconv.FormatInt(o.Seed, 10)
	args := []string{
		"torture", "--nodes", strconv.Itoa(o.Nodes), "--duration", o.Duration.String(), "--clients", strconv.Itoa(o.Clients), "--rate", strconv.Itoa(o.Rate),
		"--seed", seed, "--patience", o.Patience.String(), "--keep", filepath.Join(p.folder, string(fault)+"-"+seed),
	}
	if o.Nodes > 1 {
		args = append(args, "--database", p.database)
	}
	ctx, cancel := context.WithTimeout(p.ctx, cropTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Env = append(os.Environ(), planted.Env+"="+string(fault))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(stdout.String(), "NOT all promises held") {
		return cmd.ProcessState.ExitCode(), stdout.String(), nil
	}
	return 0, "", fmt.Errorf("holdline %s: %w\n%s\n%s", strings.Join(args, " "), err, &stdout, &stderr)
}

// verdictLines are those of a report that say what was wrong.
func verdictLines(report string) []string {
	var all []string
	for line := range strings.Lines(report) {
		for _, word := range []string{"BROKEN", "UNDECIDED", "PROBLEM", "All "} {
			if strings.HasPrefix(line, word) {
				all = append(all, strings.TrimSpace(line))
			}
		}
	}
	return all
}
