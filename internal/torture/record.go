package torture

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdline/internal/torture/history"
)

// recorder collects what happens. Its methods may be called from any goroutine.
type recorder struct {
	start time.Time
	// older are conversations from before the run, which are none of its business.
	// It is filled before the first chain begins.
	older map[string]bool

	accepted, unknown, refused atomic.Int64 // sends, each attempt
	events                     atomic.Int64
	struck                     atomic.Int64 // faults but those of the proxies

	mu         sync.Mutex
	operations []history.Operation
	faults     []history.Fault
	chains     []*chain
	problems   []string
	odd        map[string]int // unexpected answers, by what they were
	done       map[string]int // what was done, by its name
}

func newRecorder() *recorder {
	return &recorder{start: time.Now(), older: map[string]bool{}, odd: map[string]int{}, done: map[string]int{}}
}

// Names under which things are counted, beside those of verbs, forms and faults.
const (
	wentBack = "back"
	forked   = "fork"
	dropped  = "dropped"
	repeated = "repeated"
	// faultName comes before the name of a fault.
	faultName = "fault: "
)

// count counts something that was done.
func (r *recorder) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[what]++
}

// counted returns all that was counted.
func (r *recorder) counted() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.done)
}

// allChains returns the chains that there are by now.
func (r *recorder) allChains() []*chain {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.chains)
}

// now is the time in the history.
func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

func (r *recorder) operation(o history.Operation) {
	if o.Kind == history.Send {
		switch o.Outcome {
		case history.OK:
			r.accepted.Add(1)
		case history.Refused:
			r.refused.Add(1)
		case history.Unknown:
			r.unknown.Add(1)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, o)
}

// fault notes the beginning of a fault; the returned function notes its end.
func (r *recorder) fault(format string, args ...any) (over func()) {
	r.struck.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	i := len(r.faults)
	r.faults = append(r.faults, history.Fault{Begin: r.now(), What: fmt.Sprintf(format, args...)})
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.faults[i].End = r.now()
	}
}

// problem notes something that is no matter of the histories but must not be:
// a server that died by itself, a reader that does not get to the end.
func (r *recorder) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf("%.3fs: ", float64(r.now())/1e9)+fmt.Sprintf(format, args...))
}

func (r *recorder) troubles() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}

// allowed are the statuses that a client which keeps to the contract may get
// from a server that is in order.
var allowed = []int{
	http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusRequestTimeout, http.StatusGone,
	http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage,
}

// look counts answers that nobody who keeps to the contract should get.
func (r *recorder) look(method, path string, a *answer) {
	if a.status < http.StatusBadRequest || slices.Contains(allowed, a.status) {
		return
	}
	path, _, _ = strings.Cut(path, "?")
	what := fmt.Sprintf("%s %s: %d %s", method, pattern(path), a.status, a.code)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.odd[what]++; r.odd[what] == 1 {
		r.problems = append(r.problems, fmt.Sprintf("%.3fs: an answer that should not be: %s %s: %d: %s", float64(r.now())/1e9, method, path, a.status, a.body))
	}
}

// pattern is a path without the ids in it.
func pattern(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if len(p) == 11 && i > 0 {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}
