package api

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"holdline/internal/contract"
	"holdline/internal/testdb"
	"holdline/poller"
	"holdline/store"
	"holdline/store/postgres"
	"holdline/store/sqlite"
)

// newNode is newWorld on a database that outlives the server or has several.
// stop ends it before the test does.
func newNode(t testing.TB, backend store.Backend, o poller.Options, change func(*Config)) (w *world, stop func()) {
	t.Helper()
	return newNodeReading(t, backend, o, change, func(log poller.Log) poller.Log { return log })
}

// newNodeReading is newNode whose live plane reads the log through something.
func newNodeReading(t testing.TB, backend store.Backend, o poller.Options, change func(*Config), through func(poller.Log) poller.Log) (w *world, stop func()) {
	t.Helper()
	ctx := context.Background()
	logs := &logBuffer{}
	logger := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Logger = logger
	live := poller.New(o)
	log, err := store.New(ctx, backend, store.Options{Logger: logger, Feed: live.Feed, FeedMoved: live.FeedMoved})
	must(t, err)
	must(t, live.Start(ctx, through(log)))
	cfg := Config{Store: log, Poller: live, Logger: logger, Version: "test", SignUp: SignUpOpen, passwordMemory: 64}
	if change != nil {
		change(&cfg)
	}
	listener := httptest.NewUnstartedServer(nil)
	cfg.Returns = NewReturns(listener.Listener.Addr())
	s, err := New(cfg)
	must(t, err)
	serve(t, listener, s)
	w = &world{Server: s, t: t, url: listener.URL, logs: logs, client: &http.Client{Transport: contract.Transport(t, listener.Client().Transport)}}
	stop = sync.OnceFunc(func() {
		must(t, s.Close(ctx))
		listener.Close()
		must(t, live.Close(ctx))
		must(t, log.Close())
	})
	t.Cleanup(func() {
		stop()
		if text := logs.String(); strings.Contains(text, "level=ERROR") && !t.Failed() {
			t.Errorf("the server logged an error:\n%s", text)
		}
	})
	return w, stop
}

// newPair is a node that hardly sweeps, and a group of two on it.
func newPair(t testing.TB) (w *world, ann, bob account, group string) {
	t.Helper()
	w, _ = newNode(t, openSQLite(t, testdb.SQLite(t)), slowSweep, nil)
	ann, bob = w.signUp("ann"), w.signUp("bob")
	return w, ann, bob, w.group(ann, "bob").Id
}

func openSQLite(t testing.TB, path string) store.Backend {
	t.Helper()
	backend, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	must(t, err)
	must(t, backend.Migrate(t.Context()))
	return backend
}

func openPostgres(t testing.TB, url string) store.Backend {
	t.Helper()
	backend, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	must(t, err)
	must(t, backend.Migrate(t.Context()))
	return backend
}

// inbox asks for one page.
func (w *world) inbox(who account, query string) InboxPage {
	w.t.Helper()
	var page InboxPage
	w.must(200, request{method: "GET", path: "/v1/inbox" + query, token: who.Token}, &page)
	return page
}

// device is a client that follows an inbox, and holds what comes against what
// every client may rely on.
type device struct {
	*world
	who      account
	fromNow  bool
	cursor   string
	events   map[string][]Event // by conversation, in the order they came
	shown    map[string]int64   // by conversation, the head that the snapshot showed
	receipts map[[2]string]InboxReceipt
}

// connect is a first connect; from is now or start.
func (w *world) connect(who account, from string) *device {
	w.t.Helper()
	d := w.deviceOf(who, from == "now")
	page := w.inbox(who, "?from="+from)
	d.takeSnapshot(&page.Snapshot)
	d.takePage(&page)
	return d
}

func (w *world) deviceOf(who account, fromNow bool) *device {
	return &device{
		world: w, who: who, fromNow: fromNow, events: map[string][]Event{}, shown: map[string]int64{}, receipts: map[[2]string]InboxReceipt{},
	}
}

// fork is another device of the same user that goes on from the same cursor.
func (d *device) fork() *device {
	o := d.deviceOf(d.who, d.fromNow)
	o.cursor = d.cursor
	for id, all := range d.events {
		o.events[id] = append([]Event{}, all...)
	}
	for id, seq := range d.shown {
		o.shown[id] = seq
	}
	for id, r := range d.receipts {
		o.receipts[id] = r
	}
	return o
}

func (d *device) takeSnapshot(s *InboxSnapshot) {
	d.t.Helper()
	for _, c := range s.Conversations {
		d.shown[c.Id] = c.LastSeq
	}
	for _, r := range s.Receipts {
		d.takeReceipt(r)
	}
}

func (d *device) takePage(page *InboxPage) {
	d.t.Helper()
	for _, e := range page.Events {
		d.takeEvent(e)
	}
	for _, r := range page.Receipts {
		d.takeReceipt(r)
	}
	d.takeCursor(page.Cursor)
}

// takeCursor keeps a cursor, of which only its form can be said.
func (d *device) takeCursor(cursor string) {
	d.t.Helper()
	if cursor == "" || len(cursor) > 128 || strings.Trim(cursor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		d.t.Errorf("cursor of %d bytes: %q", len(cursor), cursor)
	}
	d.cursor = cursor
}

// through is the last seq that an event stands for.
func through(e Event) int64 { return max(e.Seq, e.ThroughSeq) }

// takeEvent takes an event, which must follow those of its conversation.
func (d *device) takeEvent(e Event) {
	d.t.Helper()
	id := e.ConversationId
	if all := d.events[id]; len(all) > 0 {
		if last := through(all[len(all)-1]); e.Seq <= last {
			d.t.Errorf("%s has seq %d (%s) behind %d", d.who.User.Handle, e.Seq, e.Type, last)
		}
	} else if shown, ok := d.shown[id]; ok && d.fromNow && e.Seq > shown+1 {
		d.t.Errorf("%s is given seq %d first, and the snapshot ended at %d", d.who.User.Handle, e.Seq, shown)
	}
	d.events[id] = append(d.events[id], e)
}

// takeReceipt takes a receipt, which must not go back.
func (d *device) takeReceipt(r InboxReceipt) {
	d.t.Helper()
	key := [2]string{r.ConversationId, r.UserId}
	old := d.receipts[key]
	if r.DeliveredSeq < old.DeliveredSeq || r.ReadSeq < old.ReadSeq {
		d.t.Errorf("a receipt went back from %+v to %+v", old, r)
	}
	d.receipts[key] = r
}

// poll hands back the cursor and takes what comes.
func (d *device) poll(query string) InboxPage {
	d.t.Helper()
	page := d.inbox(d.who, "?cursor="+d.cursor+query)
	if len(page.Snapshot.Conversations) > 0 {
		d.t.Errorf("a snapshot behind a cursor")
	}
	d.takePage(&page)
	return page
}

// drain polls until there is nothing more right now.
func (d *device) drain(query string) {
	d.t.Helper()
	for d.poll(query).More {
		if d.t.Failed() {
			return
		}
	}
}

// until polls, waiting each time, until enough.
func (d *device) until(what string, enough func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); d.poll("&wait=1") {
		if enough() || d.t.Failed() {
			return
		}
	}
	d.t.Fatalf("in vain: %s", what)
}

// has is the last seq that the device has of a conversation.
func (d *device) has(conversation string) int64 {
	all := d.events[conversation]
	if len(all) == 0 {
		return 0
	}
	return through(all[len(all)-1])
}

// seqs is what the device has of a conversation.
func (d *device) seqs(conversation string) string {
	var out []string
	for _, e := range d.events[conversation] {
		out = append(out, shortly(e))
	}
	return strings.Join(out, " ")
}

// shortly is seq, and -through for what is hidden.
func shortly(e Event) string {
	if e.Type == string(store.EventHidden) {
		return fmt.Sprintf("%d-%d", e.Seq, through(e))
	}
	return fmt.Sprint(e.Seq)
}

// agrees holds what the device has of a conversation against its log: every
// event from the times of membership that the chain spans, as the log has it,
// and nothing else. What was said in an absence, or before the joining, and may
// be read now all the same (history: all), may be there or not.
func (d *device) agrees(conversation string) {
	d.t.Helper()
	due := map[int64]Event{} // what must be there
	may := map[int64]Event{}
	in := false
	path := "/v1/conversations/" + conversation + "/events?limit=1000&after="
	for after := int64(0); ; {
		var page EventPage
		d.must(200, request{method: "GET", path: path + fmt.Sprint(after), token: d.who.Token}, &page)
		for _, e := range page.Events {
			after = through(e)
			mine := e.UserId == d.who.User.Id
			switch {
			case e.Type == string(store.EventHidden):
				continue
			case e.Type == "created":
				for _, id := range e.Members {
					in = in || id == d.who.User.Id
				}
			case mine && e.Action == "added":
				in = true
			}
			may[e.Seq] = e
			if in {
				due[e.Seq] = e
			}
			if mine && (e.Action == "removed" || e.Action == "left") {
				in = false
			}
		}
		if !page.More {
			break
		}
	}
	for i, e := range d.events[conversation] {
		if i == 0 && d.fromNow {
			for seq := range due {
				if seq < e.Seq {
					delete(due, seq)
				}
			}
		}
		if e.Type == string(store.EventHidden) {
			for seq := e.Seq; seq <= through(e); seq++ {
				if _, ok := may[seq]; ok {
					d.t.Errorf("%s: %d of %s is hidden from %s, who may read it", conversation, seq, shortly(e), d.who.User.Handle)
				}
			}
			continue
		}
		if want, ok := may[e.Seq]; !ok || fmt.Sprintf("%+v", want) != fmt.Sprintf("%+v", e) {
			d.t.Errorf("%s: given %+v, the log has %+v", conversation, e, want)
		}
		delete(due, e.Seq)
	}
	for seq, e := range due {
		if len(d.events[conversation]) == 0 && d.fromNow && seq <= d.shown[conversation] {
			continue
		}
		d.t.Errorf("%s: %s has not got seq %d (%s %s), only %s", conversation, d.who.User.Handle, seq, e.Type, e.Action, d.seqs(conversation))
	}
}

// rawSQLite is the database behind a server's back.
func rawSQLite(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}
