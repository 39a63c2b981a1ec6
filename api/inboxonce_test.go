package api

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/poller"
)

// fair is a busy place: groups that come to be, people who send, join and
// leave. bob's inbox is what the tests follow.
type fair struct {
	t             testing.TB
	nodes         []*world
	ann, bob, cat account

	mu     sync.Mutex
	groups []string
	sent   int
}

func newFair(t testing.TB, nodes ...*world) *fair {
	f := &fair{t: t, nodes: nodes}
	f.ann, f.bob, f.cat = nodes[0].signUp("ann"), nodes[0].signUp("bob"), nodes[0].signUp("cat")
	for i := range 8 {
		f.create(nodes[0], i%2 == 0, i%3 != 0)
	}
	return f
}

// create makes a group of ann's, in which cat is, and bob if he is to be.
func (f *fair) create(w *world, all, bob bool) {
	f.t.Helper()
	body := NewConversation{Kind: NewConversationKindGroup, Members: []string{"cat"}, History: NewConversationHistoryJoined}
	if all {
		body.History = NewConversationHistoryAll
	}
	if bob {
		body.Members = append(body.Members, "bob")
	}
	var c Conversation
	w.must(201, request{method: "POST", path: "/v1/conversations", token: f.ann.Token, body: body}, &c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups = append(f.groups, c.Id)
}

func (f *fair) pick(random *rand.Rand) (w *world, group string, number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	return f.nodes[random.IntN(len(f.nodes))], f.groups[random.IntN(len(f.groups))], f.sent
}

// talk has somebody send; what they may not is refused.
func (f *fair) talk(who account, seed uint64, times int) {
	random := rand.New(rand.NewPCG(seed, 1))
	for range times {
		w, group, number := f.pick(random)
		a := w.do(request{method: "POST", path: "/v1/conversations/" + group + "/messages", token: who.Token,
			body: NewMessage{ClientId: fmt.Sprint("m", number), Text: fmt.Sprint(who.User.Handle, " ", number)}})
		if a.status != 201 && a.status != 404 {
			f.t.Errorf("sending: %d %s", a.status, a.body)
		}
	}
}

// manage has bob join, leave, come back, and be invited to new groups.
func (f *fair) manage(seed uint64, times int) {
	random := rand.New(rand.NewPCG(seed, 2))
	for range times {
		w, group, _ := f.pick(random)
		members := "/v1/conversations/" + group + "/members"
		var r request
		switch random.IntN(6) {
		case 0:
			f.create(w, random.IntN(2) == 0, random.IntN(2) == 0)
			continue
		case 1, 2:
			r = request{method: "DELETE", path: members + "/" + f.bob.User.Id, token: f.ann.Token}
		case 3:
			r = request{method: "DELETE", path: members + "/" + f.bob.User.Id, token: f.bob.Token}
		default:
			r = request{method: "POST", path: members, token: f.ann.Token, body: NewMembers{Members: []string{"bob"}}}
		}
		if a := w.do(r); a.status > 201 && a.status != 404 {
			f.t.Errorf("%s %s: %d %s", r.method, r.path, a.status, a.body)
		}
	}
}

// run has all of it going on at once, and devices read meanwhile.
func (f *fair) run(seed uint64, times int, devices ...*device) []*device {
	var busy, reading sync.WaitGroup
	over := make(chan struct{})
	for i, who := range []account{f.ann, f.bob, f.cat} {
		busy.Go(func() { f.talk(who, seed+uint64(i), times) })
	}
	busy.Go(func() { f.manage(seed, times/2) })
	var mu sync.Mutex
	all := slices.Clone(devices)
	for i, d := range devices {
		reading.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(100+i)))
			f.read(d, random, over)
			if i%2 == 0 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, d.fork())
		})
	}
	busy.Wait()
	close(over)
	reading.Wait()
	return all
}

// read follows with one device in all ways, from node to node, until told to stop.
func (f *fair) read(d *device, random *rand.Rand, over <-chan struct{}) {
	for !f.t.Failed() {
		select {
		case <-over:
			return
		default:
		}
		d.world = f.nodes[random.IntN(len(f.nodes))]
		switch random.IntN(3) {
		case 0:
			d.poll(fmt.Sprint("&wait=1&limit=", 1+random.IntN(20)))
		case 1:
			d.poll(fmt.Sprint("&limit=", 1+random.IntN(3)))
		default:
			f.listen(d, random, over)
		}
	}
}

// listen follows a stream for some frames, and then comes back with less than
// it was sent.
func (f *fair) listen(d *device, random *rand.Rand, over <-chan struct{}) {
	s := d.inboxStream(d.who.Token, "?cursor="+d.cursor, nil)
	defer s.close()
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-stopped:
		case <-over:
			s.cancel()
		}
	}()
	for range 1 + random.IntN(30) {
		fr, err := s.next()
		if err != nil {
			return // told to stop
		}
		switch fr.event {
		case "heartbeat", "receipt":
			continue
		}
		var e Event
		fromJSON(f.t, fr.data, &e)
		d.takeEvent(e)
		d.takeCursor(fr.id)
	}
}

// settle follows to the end of what bob may read, and holds it against the logs.
func (f *fair) settle(devices ...*device) {
	f.t.Helper()
	w := f.nodes[0]
	for _, group := range f.groups { // what was said on the other node comes here by its sweep
		last, err := w.store.LastSeq(f.t.Context(), mustID(f.t, group))
		must(f.t, err)
		eventually(f.t, fmt.Sprintf("seq %d of %s on the first node", last, group), func() bool { return w.events(f.ann, group, "?limit=1").LastSeq >= last })
	}
	for _, d := range devices {
		d.world = w
		for _, group := range f.groups {
			// ann reads all; bob up to the end of his last stretch.
			a := d.do(request{method: "GET", path: "/v1/conversations/" + group + "/events?limit=1000", token: f.bob.Token})
			if a.status == 404 {
				if n := len(d.events[group]); n != 0 {
					f.t.Errorf("%d events of a group that bob was never in", n)
				}
				continue
			}
			var page EventPage
			fromJSON(f.t, string(a.body), &page)
			last := through(page.Events[len(page.Events)-1])
			if d.fromNow && last <= d.shown[group] {
				continue
			}
			d.until(fmt.Sprintf("%s of %s up to seq %d, at %d", d.who.User.Handle, group, last, d.has(group)), func() bool { return d.has(group) >= last })
		}
		for _, group := range f.groups {
			if d.do(request{method: "GET", path: "/v1/conversations/" + group + "/events", token: f.bob.Token}).status == 200 {
				d.agrees(group)
			}
		}
		if page := d.poll(""); len(page.Events) > 0 || page.More {
			f.t.Errorf("more at the end: %+v", page)
		}
	}
}

// start connects devices of bob in all ways.
func (f *fair) start() (all []*device) {
	for i := range 6 {
		all = append(all, f.nodes[i%len(f.nodes)].connect(f.bob, []string{"start", "now"}[i/3]))
	}
	return all
}

func TestInboxGivesEachEventOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("sqlite ", seed), func(t *testing.T) {
			w := newWorld(t, nil)
			f := newFair(t, w)
			f.settle(f.run(seed, 80, f.start()...)...)
		})
	}
	t.Run("postgres, two nodes", func(t *testing.T) {
		url := testdb.Postgres(t)
		o := poller.Options{SweepInterval: 50 * time.Millisecond}
		one, _ := newNode(t, openPostgres(t, url), o, nil)
		two, _ := newNode(t, openPostgres(t, url), o, nil)
		f := newFair(t, one, two)
		f.settle(f.run(7, 100, f.start()...)...)
	})
}

func TestInboxCursorOutlivesItsServer(t *testing.T) {
	t.Parallel()
	path := testdb.SQLite(t)
	w, stop := newNode(t, openSQLite(t, path), poller.Options{}, nil)
	f := newFair(t, w)
	devices := f.start()
	for seed := range uint64(3) {
		devices = f.run(20+seed, 40, devices...)
		stop()
		w, stop = newNode(t, openSQLite(t, path), poller.Options{}, nil)
		f.nodes = []*world{w}
		for _, d := range devices {
			d.world = w
		}
	}
	f.settle(devices...)
}
