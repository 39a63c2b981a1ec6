package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"holdline/internal/torture/check"
	"holdline/internal/torture/history"
	"holdline/internal/torture/netfault"
)

// Times that the parts of a run around its plan may take.
const (
	setUpTimeout  = 2 * time.Minute
	finishTimeout = 3 * time.Minute
	overdue       = 10 * time.Second // how long the plan may go on past its end
)

// run is one run under way.
type run struct {
	options  Options
	folder   string
	tag      string // makes handles and client_ids the run's own
	plan     *Plan
	rec      *recorder
	scratch  *scratch // nil if the servers are not ours
	nodes    []*node
	accounts []*account
	devices  []*device
	talks    []*talk
	trouble  *trouble
	begun    time.Time // when the plan began
	lasted   time.Duration
	epochs   []history.Epoch

	mu     sync.Mutex
	hidden map[string]bool // users who turned read receipts off, or on again
	forks  int
	failed error              // why the run cannot go on
	stop   context.CancelFunc // ends the plan early
}

// Run carries out a run and judges it. When ctx ends, so does the plan, and what
// was recorded until then is checked. An error means that there is no verdict:
// the options make no sense (a *UsageError), or the servers or their database
// could not be brought up.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var given [][2]string
	if o.Accounts != "" {
		if given, err = readAccounts(o.Accounts); err != nil {
			return nil, &UsageError{err}
		}
		if len(given) < leastUsers {
			return nil, usagef("%s names %d accounts; at least %d are needed", o.Accounts, len(given), leastUsers)
		}
	}
	r := &run{options: o, rec: newRecorder(), hidden: map[string]bool{}, plan: NewPlan(o.scale(len(given)))}
	r.tag = fmt.Sprintf("%x", time.Now().UnixMilli())
	r.trouble = &trouble{run: r, state: map[string]string{}}
	if r.folder = o.Keep; r.folder == "" {
		if r.folder, err = os.MkdirTemp("", "holdline-torture-*"); err != nil {
			return nil, err
		}
	} else if err = os.MkdirAll(r.folder, 0o750); err != nil {
		return nil, err
	}
	report = &Report{Scale: r.plan.Scale, Servers: r.servers(), Folder: r.folder}
	report.LeftOut = r.plan.Scale.leftOut(o.onPostgres(), len(o.Servers) == 0)
	logs, err := r.carryOut(ctx, given)
	report.Interrupted = ctx.Err() != nil
	err = errors.Join(err, r.close())
	report.Problems = r.rec.troubles()
	var usage *UsageError
	if errors.As(err, &usage) && o.Keep == "" {
		return nil, errors.Join(err, os.RemoveAll(r.folder))
	}
	if err != nil {
		return nil, fmt.Errorf("%w%s\nWhat the servers wrote is in %s", err, indented("Before that:", report.Problems), r.folder)
	}
	h := r.history(logs)
	r.progress("checking %d operations and %d chains of cursors", len(h.Operations), len(h.Readers))
	report.Check = check.Check(h, check.Options{})
	report.count(r, h)
	if report.OK() && o.Keep == "" {
		report.Folder = ""
		return report, os.RemoveAll(r.folder)
	}
	return report, errors.Join(h.Save(r.folder), r.savePlan())
}

// carryOut does everything that needs servers, and returns the conversations
// as they are in the end.
func (r *run) carryOut(ctx context.Context, given [][2]string) ([]history.Conversation, error) {
	setUp, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	r.progress("seed %d: starting on %s", r.plan.Scale.Seed, r.servers())
	if err := r.start(setUp); err != nil {
		return nil, err
	}
	if err := errors.Join(r.setUp(setUp, given), r.noteEpoch(setUp)); err != nil {
		return nil, fmt.Errorf("setting up: %w", err)
	}
	// What is begun is finished, also when the plan is ended early.
	finish, cancelFinish := context.WithTimeout(context.WithoutCancel(ctx), r.plan.Scale.Duration+finishTimeout)
	defer cancelFinish()
	if err := r.live(ctx, finish); err != nil {
		return nil, err
	}
	r.progress("%s: all is calm; every reader comes back with its last cursor", r.clock())
	logs, err := r.drain(finish)
	if err == nil {
		err = r.noteEpoch(finish)
	}
	if err != nil {
		return nil, fmt.Errorf("at the end of the run: %w", err)
	}
	return logs, nil
}

// live carries out the plan, until it is over or ctx ends; then everything is
// calm and every operation has its outcome.
func (r *run) live(ctx, finish context.Context) error {
	soft, stop := context.WithTimeout(ctx, r.plan.Scale.Duration+overdue)
	defer stop()
	reading, endReading := context.WithCancel(finish)
	defer endReading()
	telling, endTelling := context.WithCancel(finish)
	defer endTelling()
	r.begun, r.stop = time.Now(), stop
	r.progress("%s: %d clients of %d users begin", r.clock(), len(r.devices), len(r.accounts))
	var readers, acts, teller sync.WaitGroup
	for i, p := range r.plan.Readers {
		id := ""
		if p.Conversation >= 0 {
			if id, _ = r.talks[p.Conversation].known(); id == "" {
				continue // it stays out of the run
			}
		}
		c := newChain(fmt.Sprintf("reader-%02d", i), r.devices[p.Client], p, id)
		readers.Go(func() { c.live(reading, r.forker(reading, &readers)) })
	}
	teller.Go(func() { r.tell(telling) })
	acts.Go(func() { r.act(finish, soft) })
	r.trouble.carryOut(soft)
	err := r.trouble.calm(finish)
	if err != nil {
		stop()
	}
	acts.Wait()
	r.lasted = time.Since(r.begun)
	endReading()
	readers.Wait()
	endTelling()
	teller.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.failed, err)
}

// mostForks bounds how many readers are begun at others' cursors.
const mostForks = 100

// forker begins further readers at the cursors of others, each on a device of
// its own. They do not fork in their turn.
func (r *run) forker(ctx context.Context, group *sync.WaitGroup) func(*chain) {
	return func(from *chain) {
		r.mu.Lock()
		r.forks++
		n := r.forks
		r.mu.Unlock()
		if n > mostForks {
			return
		}
		d := newDevice(fmt.Sprintf("fork-%02d", n), from.device.account, r.nodes, r.rec)
		c := from.fork(fmt.Sprintf("fork-%02d", n), d)
		if c == nil {
			return
		}
		r.rec.count(forked)
		r.mu.Lock()
		r.devices = append(r.devices, d)
		r.mu.Unlock()
		group.Go(func() { c.live(ctx, func(*chain) {}) })
	}
}

// fail notes that the run cannot go on, and ends its plan.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = errors.Join(r.failed, err)
	r.stop()
}

// servers says what is tortured.
func (r *run) servers() string {
	switch s := r.plan.Scale; {
	case len(r.options.Servers) > 0:
		return strings.Join(r.options.Servers, ", ")
	case s.Nodes > 1:
		return fmt.Sprintf("%d servers on one PostgreSQL, hints %s", s.Nodes, r.options.Hints)
	case r.options.onPostgres():
		return "one server on PostgreSQL"
	}
	return "one server on SQLite"
}

// start brings up the database, the servers, and a proxy before each of them.
func (r *run) start(ctx context.Context) error {
	if len(r.options.Servers) > 0 {
		for i, base := range r.options.Servers {
			u, err := url.Parse(base)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return usagef("%q is not the address of a server, like http://127.0.0.1:8080", base)
			}
			address := u.Host
			if u.Port() == "" {
				address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
			}
			if err := r.addNode(fmt.Sprintf("node-%d", i+1), strings.TrimSuffix(base, "/"), address, nil); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	if r.scratch, err = newScratch(ctx, &r.options, r.folder); err != nil {
		return err
	}
	for i := range r.plan.Scale.Nodes {
		name := fmt.Sprintf("node-%d", i+1)
		p, err := newProcess(ctx, name, r.options.Program, r.folder, serveArgs(r.scratch.url, r.options.Hints, r.options.ServeArgs), r.rec)
		if err != nil {
			return err
		}
		p.env = r.options.ServeEnv
		if err := r.addNode(name, "http://"+p.address, p.address, p); err != nil {
			return err
		}
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) addNode(name, base, address string, p *process) error {
	proxy, err := netfault.New(address)
	if err != nil {
		return err
	}
	r.nodes = append(r.nodes, &node{name: name, base: base, proxy: proxy, process: p})
	return nil
}

// close ends everything that the run has started.
func (r *run) close() error {
	var errs []error
	for _, d := range r.devices {
		d.close()
	}
	for _, n := range r.nodes {
		if n.process != nil {
			n.process.close()
		}
		errs = append(errs, n.proxy.Close())
	}
	if r.scratch != nil {
		errs = append(errs, r.scratch.drop())
	}
	return errors.Join(errs...)
}

// noteEpoch notes the database's epoch, which is part of every cursor.
func (r *run) noteEpoch(ctx context.Context) error {
	for i := range r.talks {
		id, _ := r.talks[i].known()
		if id == "" {
			continue
		}
		keeper := r.reader(r.plan.Conversations[i].Keeper)
		defer keeper.close()
		var p wirePage
		if err := keeper.must(ctx, "GET", "/v1/conversations/"+id+"/events?limit=1", nil, &p); err != nil {
			return err
		}
		_, name, _ := strings.Cut(p.Cursor, "-")
		if n := len(r.epochs); n == 0 || r.epochs[n-1].Name != name {
			r.epochs = append(r.epochs, history.Epoch{At: r.rec.now(), Name: name})
		}
		return nil
	}
	return errors.New("there is no conversation")
}

// reader is a device for looking at things from outside the plan.
func (r *run) reader(user int) *device {
	return newDevice("reader", r.accounts[user], r.nodes, r.rec)
}

// history is all that was recorded.
func (r *run) history(logs []history.Conversation) *history.History {
	h := &history.History{
		Run: history.Run{
			Seed: r.plan.Scale.Seed, Servers: r.servers(), Started: r.rec.start.UTC().Format(time.RFC3339Nano),
			Epochs: r.epochs, Faults: r.rec.faults,
		},
		Users: r.users(), Conversations: logs, Operations: r.rec.operations,
	}
	for _, c := range r.rec.chains {
		h.Readers = append(h.Readers, c.reader)
	}
	return h
}

// savePlan writes the plan beside the history.
func (r *run) savePlan() error {
	text, err := json.MarshalIndent(r.plan, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.folder, "plan.json"), append(text, '\n'), 0o600)
}
