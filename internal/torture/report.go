package torture

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"holdline/internal/torture/check"
	"holdline/internal/torture/history"
	"holdline/internal/torture/netfault"
)

// Report is what a run did and what came of it.
type Report struct {
	Scale       Scale
	Servers     string // what was tortured
	Interrupted bool   // the plan was ended early
	Lasted      time.Duration
	LeftOut     []string
	Done        []Group
	// Check is the verdict on the history. Problems are what must not be but is no
	// matter of the history: a server that died by itself, an answer 500.
	Check    *check.Report
	Problems []string
	// Folder holds the history, the plan and what the servers wrote; empty if
	// nothing was kept.
	Folder string
}

// Group is some of the things that were done, by their names.
type Group struct {
	Name   string
	Counts map[string]int
}

// OK reports whether every promise held and nothing else was wrong.
func (r *Report) OK() bool { return r.Check.OK() && len(r.Problems) == 0 }

// count gathers what was done.
func (r *Report) count(from *run, h *history.History) {
	done := from.rec.counted()
	r.Lasted = from.lasted
	calls, readers := map[string]int{}, map[string]int{}
	for _, v := range []Verb{Send, Replay, Twice, Create, Add, Remove, Leave, Title, Ack, Beyond, State, List, Head, Receipts, Privacy} {
		calls[string(v)] = done[string(v)]
	}
	calls["repeated calls"], calls["not got round to"] = done[repeated], done[dropped]
	connects := 0
	for _, f := range []history.Form{history.Stream, history.Poll, history.Text, history.InboxStream, history.InboxPoll, history.InboxText} {
		connects += done[string(f)]
	}
	for i := range h.Readers {
		readers[string(h.Readers[i].Form)]++
	}
	faults := map[string]int{}
	for name, n := range done {
		if what, ok := strings.CutPrefix(name, faultName); ok {
			faults[what] = n
		}
	}
	cuts := map[string]int{}
	for k := netfault.None + 1; k <= netfault.Refuse; k++ {
		for _, n := range from.nodes {
			cuts[k.String()] += int(n.proxy.Struck(k))
		}
	}
	r.Done = []Group{
		{"clients did", calls},
		{"readers", readers},
		{"readers' doings", map[string]int{"requests": connects, "came back with an older cursor": done[wentBack], "cursor forked to another device": done[forked]}},
		{"faults", faults},
		{"faults of connections", cuts},
	}
}

// mostShown is how many violations of one promise are printed; the folder has
// the history for the rest.
const mostShown = 5

// Write prints the report.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	s := r.Scale
	fmt.Fprintf(&b, "\nSeed %d, %v: %d clients of %d users in %d conversations, on %s\n", s.Seed, s.Duration, s.Clients, s.Users, s.Conversations, r.Servers)
	for _, g := range r.Done {
		fmt.Fprintf(&b, "  %-22s %s\n", g.Name, g.text())
	}
	c := r.Check.Counts
	fmt.Fprintf(&b, "  %-22s %d accepted, %d refused, %d of unknown outcome (%d of them stored)\n", "messages", c.Accepted, c.Refused, c.UnknownStored+c.UnknownLost, c.UnknownStored)
	fmt.Fprintf(&b, "  %-22s %d events and %d receipts by %d readers, %d of them followed to the end; %d entries in the logs\n", "seen", c.Events, c.Receipts, c.Readers, c.Complete, c.Logged)
	for _, what := range r.LeftOut {
		fmt.Fprintf(&b, "  %-22s %s\n", "left out", what)
	}
	if r.Interrupted {
		fmt.Fprintf(&b, "  %-22s after %.1fs; what had happened by then was checked\n", "interrupted", r.Lasted.Seconds())
	}
	b.WriteString("\n")
	r.verdict(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteVerdict prints the verdict alone.
func (r *Report) WriteVerdict(w io.Writer) error {
	var b strings.Builder
	r.verdict(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) verdict(b *strings.Builder) {
	if r.OK() {
		fmt.Fprintf(b, "All %d promises held.\n", len(check.Promises)-1) // the last one is the run's own
		return
	}
	for _, p := range check.Promises {
		total := r.Check.Totals[p.Name]
		if total == 0 {
			continue
		}
		fmt.Fprintf(b, "BROKEN %s, %d times. %s\n", p.Name, total, p.Text)
		shown := 0
		for _, v := range r.Check.Violations {
			if v.Promise == p.Name && shown < mostShown {
				fmt.Fprintf(b, "  - %s\n", strings.TrimPrefix(v.String(), string(p.Name)+": "))
				shown++
			}
		}
		if total > shown {
			fmt.Fprintf(b, "  … and %d more\n", total-shown)
		}
		fmt.Fprintf(b, "  Look at: %s\n", p.Look)
	}
	for _, u := range r.Check.Undecided {
		fmt.Fprintf(b, "UNDECIDED %s: conversation %s: %s\n", check.Linearizable, u.Conversation, u.Text)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "PROBLEM at %s\n", p)
	}
	fmt.Fprintf(b, "\nNOT all promises held. The history, the plan and what the servers wrote are in %s\n", r.Folder)
	if r.Scale.Clients == 0 {
		return // it was an old history
	}
	fmt.Fprintf(b, "The same plan again: --seed %d and the same --duration, --clients, --rate, --nodes and kind of database.\n", r.Scale.Seed)
}

// text lists what was done, the most frequent first.
func (g *Group) text() string {
	names := slices.SortedFunc(maps.Keys(g.Counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(g.Counts[b], g.Counts[a]), cmp.Compare(a, b))
	})
	var all []string
	for _, name := range names {
		if g.Counts[name] > 0 {
			all = append(all, fmt.Sprintf("%s %d", name, g.Counts[name]))
		}
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}

// tellEvery is how often a run says how it stands.
const tellEvery = 5 * time.Second

// tell says how the run stands until ctx ends.
func (r *run) tell(ctx context.Context) {
	for pause(ctx, tellEvery) {
		line := fmt.Sprintf("%s: %d sends accepted, %d refused, %d attempts of unknown outcome; %d events seen", r.clock(),
			r.rec.accepted.Load(), r.rec.refused.Load(), r.rec.unknown.Load(), r.rec.events.Load())
		if wrong := r.trouble.String(); wrong != "" {
			line += "; now " + wrong
		}
		r.progress("%s", line)
	}
}

// clock is how long the plan has been going on.
func (r *run) clock() string { return fmt.Sprintf("%5.1fs", time.Since(r.begun).Seconds()) }

func (r *run) progress(format string, args ...any) {
	if r.options.Progress != nil {
		_, _ = fmt.Fprintf(r.options.Progress, format+"\n", args...) // for the eye only
	}
}

// indented is a list below a heading, empty if there is nothing in it.
func indented(heading string, all []string) string {
	if len(all) == 0 {
		return ""
	}
	return "\n" + heading + "\n  " + strings.Join(all, "\n  ")
}
