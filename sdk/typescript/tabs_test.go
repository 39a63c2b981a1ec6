package typescript

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// tabs are those of one profile, all on pages that follow the same.
type tabs struct {
	t       *testing.T
	profile *browser.Profile
	address string
	open    []tab
}

type tab struct {
	*browser.Page
	*browser.Tab
}

// settings are what a page follows.
type settings struct {
	Server       string `json:"server"`
	Token        string `json:"token"`
	Conversation string `json:"conversation,omitempty"`
	Look         int    `json:"look,omitempty"`  // how often it looks for the leader, in ms
	Quick        bool   `json:"quick,omitempty"` // it comes back soon
}

func newTabs(t *testing.T, pages, before string, follow settings) *tabs {
	t.Helper()
	hash, err := json.Marshal(follow)
	if err != nil {
		t.Fatal(err)
	}
	return &tabs{t, browser.NewProfile(t, before), pages + "/#" + url.PathEscape(string(hash)), nil}
}

// another opens a tab and waits until it follows.
func (s *tabs) another() {
	s.t.Helper()
	page, opened := s.profile.Open(s.address)
	page.Until("it follows", "window.page && page.state == 'connected stream'")
	s.open = append(s.open, tab{page, opened})
}

// leader takes the tab that holds the connection out of those that are open.
func (s *tabs) leader() tab {
	s.t.Helper()
	n := slices.IndexFunc(s.open, func(b tab) bool { return b.Text("page.streams") != "0" })
	if n < 0 {
		s.t.Fatal("no tab has opened a stream")
	}
	leader := s.open[n]
	s.open = slices.Delete(s.open, n, n+1)
	return leader
}

// complete waits until every tab has what the logs have, and sees that it has it
// once and in order.
func (s *tabs) complete(reader *harness.Client, conversations ...string) {
	s.t.Helper()
	for _, conversation := range conversations {
		log := reader.AllEvents(conversation)
		head := log[len(log)-1].Seq
		for n, b := range s.open {
			id := browser.Quoted(conversation)
			b.Until(fmt.Sprintf("tab %d has everything of %s up to %d", n, conversation, head),
				fmt.Sprintf("(page.seen[%s] || []).indexOf(%d) >= 0 || page.began[%[1]s] == %[2]d", id, head))
			var got struct {
				Began int64
				Seen  []int64
			}
			if err := json.Unmarshal([]byte(b.Text("JSON.stringify({began: page.began["+id+"] || 0, seen: page.seen["+id+"] || []})")), &got); err != nil {
				s.t.Fatal(err)
			}
			var want []int64
			for _, e := range log {
				if e.Seq > got.Began {
					want = append(want, e.Seq)
				}
			}
			if !slices.Equal(got.Seen, want) {
				s.t.Errorf("tab %d was given %v of %s, and not %v", n, got.Seen, conversation, want)
			}
		}
	}
	for n, b := range s.open {
		if wrong := b.Text("page.wrong + page.ended"); wrong != "" {
			s.t.Errorf("tab %d: %s", n, wrong)
		}
	}
}

// Pages in a real browser that follow with share hold one connection, and each
// is given everything once, whatever happens to them and to the server.
func testTabs(t *testing.T, dir string) {
	server := harness.Start(t, harness.Config{NoRace: true})
	front := newFront(t, server)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	talk, group, other := bob.Direct("ann"), bob.Group("ann"), bob.Group("ann")
	said := 0
	say := func(conversations ...string) {
		t.Helper()
		for _, conversation := range conversations {
			said++
			bob.MustSend(conversation, fmt.Sprint("m", said), fmt.Sprint("message ", said))
		}
	}
	all := []string{talk, group, other}
	say(all...)
	s := newTabs(t, pagesOf(t, dir), "", settings{Server: front.URL, Token: ann.Token})
	for range 4 {
		s.another()
		say(talk, group)
	}
	say(all...)
	s.complete(bob, all...)
	front.one(t)
	if n := front.opened.Load(); n != 1 {
		t.Errorf("%d streams were opened", n)
	}

	// One that does not lead is closed, and the leader.
	leader := s.leader()
	s.open[0].Close()
	s.open = s.open[1:]
	say(talk)
	leader.Close()
	say(all...)
	s.complete(bob, all...)
	front.one(t)
	if n := front.opened.Load(); n != 2 {
		t.Errorf("%d streams were opened", n)
	}

	s.another()
	s.another()
	server.Kill()
	server = server.Again()
	ann, bob = ann.At(server), bob.At(server)
	say(all...)
	s.complete(bob, all...)
	front.one(t)

	// One that crashes says nothing any more.
	opened := front.opened.Load()
	_ = s.leader().Input("load", "chrome://crash") // there is nobody to answer
	harness.Eventually(t, "another tab opens a stream", func() bool { return front.opened.Load() > opened })
	say(all...)
	s.complete(bob, all...)
	front.one(t)

	// One that takes nothing for long, and then all: first of those that follow, then the leader.
	leader = s.leader()
	s.open = append(s.open, leader)
	for _, slow := range []tab{s.open[0], leader} {
		slow.Text("page.hold()")
		flood(t, bob, group, fmt.Sprint(slow == leader), 1200)
		opened = front.opened.Load()
		slow.Text("page.release()")
		s.complete(bob, all...)
		if n := front.opened.Load(); n != opened {
			t.Errorf("%d streams were opened for a slow one", n-opened)
		}
	}

	// The leader goes to another page, and comes back.
	leader.Load("about:blank")
	say(all...)
	leader.Text("history.back()")
	leader.Until("it follows again", "window.page && page.state == 'connected stream'")
	say(all...)
	s.complete(bob, all...)
	front.one(t)

	// A removal is the last that each sees of a conversation.
	bob.Must(http.StatusOK, http.MethodDelete, "/v1/conversations/"+other+"/members/"+ann.UserID, nil, nil)
	s.complete(bob, other)
	say(all...)
	s.complete(bob, talk, group)
	ann.Must(http.StatusNoContent, http.MethodDelete, "/v1/sessions/current", nil, nil)
	for _, b := range s.open {
		b.Until("the session has ended", "page.ended == 'unauthorized'")
	}
	harness.Eventually(t, "there is no stream", func() bool { return front.open.Load() == 0 })
}

// flood sends many messages at once.
func flood(t *testing.T, from *harness.Client, conversation, id string, count int) {
	t.Helper()
	var senders sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		senders.Go(func() {
			for n := next.Add(1); n <= int64(count); n = next.Add(1) {
				if _, a, err := from.Send(t.Context(), conversation, fmt.Sprint("flood-", id, "-", n), "one of many"); err != nil || a.Status != http.StatusCreated {
					t.Errorf("send: status %d, %v: %s", a.Status, err, a.Body)
					return
				}
			}
		})
	}
	senders.Wait()
}

// So do those that follow one conversation, until they are removed from it, in a
// browser without what browsers have learned since 2022.
func testTabsOfConversation(t *testing.T, dir string) {
	server := harness.Start(t, harness.Config{NoRace: true})
	front := newFront(t, server)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	group := bob.Group("ann")
	const of2022 = "delete AbortSignal.any; delete AbortSignal.timeout; delete URLSearchParams.prototype.size"
	s := newTabs(t, pagesOf(t, dir), of2022, settings{Server: front.URL, Token: ann.Token, Conversation: group, Look: 1000})
	for n := range 3 {
		s.another()
		bob.MustSend(group, fmt.Sprint(n), "hello")
	}
	s.complete(bob, group)
	front.one(t)
	s.leader().Close()
	bob.MustSend(group, "3", "hello")
	s.complete(bob, group)
	front.one(t)

	// The others do not wait for a leader that is stuck.
	leader, opened := s.leader(), front.opened.Load()
	leader.Text("page.stick(15000)")
	harness.Eventually(t, "another tab opens a stream", func() bool { return front.opened.Load() > opened })
	bob.MustSend(group, "4", "hello")
	s.complete(bob, group)
	s.open = append(s.open, leader)
	bob.MustSend(group, "5", "hello")
	s.complete(bob, group)
	front.one(t)

	bob.Must(http.StatusOK, http.MethodDelete, "/v1/conversations/"+group+"/members/"+ann.UserID, nil, nil)
	for _, b := range s.open {
		b.Until("it has ended", "page.ended == 'not_found'")
	}
}

// What the leader cannot read ends each page, by the leader's tries alone, and
// nothing behind it is given.
func testTabsThatAreTold(t *testing.T, dir string) {
	server := harness.Start(t, harness.Config{NoRace: true})
	front := newFront(t, server)
	front.garbles.Store(true)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	group := bob.Group("ann")
	s := newTabs(t, pagesOf(t, dir), "", settings{Server: front.URL, Token: ann.Token, Quick: true})
	for range 4 {
		s.another()
	}
	front.one(t)
	bob.MustSend(group, "1", "hello")
	s.complete(bob, group)
	seq := bob.MustSend(group, "2", "garble me").Seq
	bob.MustSend(group, "3", "hello again")
	for n, b := range s.open {
		b.Until("it has ended", "page.ended != ''")
		if ended := b.Text("page.ended"); !strings.Contains(ended, fmt.Sprintf("MalformedError: a malformed event %q seq %d,", group, seq)) {
			t.Errorf("tab %d: %s", n, ended)
		}
		if last := b.Text("page.seen[" + browser.Quoted(group) + "].at(-1)"); last != fmt.Sprint(seq-1) {
			t.Errorf("tab %d was given seq %s", n, last)
		}
	}
	harness.Eventually(t, "there is no stream", func() bool { return front.open.Load() == 0 })
	if n := front.opened.Load(); n != 5 {
		t.Errorf("%d streams were opened", n)
	}
}

// Each page that was frozen catches up once it goes on. A leader hands over before it
// is, where the browser says so; a worker for one is not told, and is frozen with its
// page: it still answers, but does not read, and the connection is taken from it.
func testFrozenTabs(t *testing.T, dir string, told bool) {
	server := harness.Start(t, harness.Config{NoRace: true})
	front := newFront(t, server)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	group := bob.Group("ann")
	follow, before := settings{Server: front.URL, Token: ann.Token}, ""
	if !told {
		follow.Look = 1000
		before = "['freeze', 'resume'].forEach((name) => document.addEventListener(name, (e) => e.stopImmediatePropagation(), true))"
	}
	s := newTabs(t, pagesOf(t, dir), before, follow)
	for n := range 4 {
		s.another()
		bob.MustSend(group, fmt.Sprint("before-", n), "hello")
	}
	s.complete(bob, group)
	leader, other := s.leader(), s.open[1]
	s.open = slices.Delete(s.open, 1, 2)
	other.Freeze()
	leader.Freeze()
	for n := range 30 {
		bob.MustSend(group, fmt.Sprint("meanwhile-", n), "hello")
	}
	s.complete(bob, group)
	if opened := front.opened.Load(); told && opened != 2 {
		t.Errorf("%d streams were opened", opened)
	}
	leader.Thaw()
	other.Thaw()
	s.open = append(s.open, leader, other)
	s.complete(bob, group)
	bob.MustSend(group, "after", "hello")
	s.complete(bob, group)
	front.one(t)
}
