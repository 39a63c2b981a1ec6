package holdline_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/sdk/conformance"
	holdline "holdline/sdk/go"
)

// What fetches a hole and gets no answer is given up like a stream that brings nothing.
func TestAHoleWhoseFetchingStandsStill(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int64
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path != eventsPath {
			streams(w, r, true, entryFrame(1), entryFrame(3))
			return
		}
		if fetched.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		says(w, http.StatusOK, holdline.EventPage{Cursor: "3-epo", FirstSeq: 1, LastSeq: 3, Events: []holdline.Event{entry(2), entry(3)}})
	})
	o := one(holdline.FollowOptions{FromStart: true, Transport: holdline.Stream, Idle: 200 * time.Millisecond})
	got, err := follow(t, c, o, upTo(3))
	expect(t, got, err, "message 1", "message 2", "message 3")
}

// A call that gets no answer holds up neither what is noted later nor those who flush for longer than they want.
func TestAcksThatGetNoAnswer(t *testing.T) {
	t.Parallel()
	p := &posts{}
	begun := make(chan struct{})
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 0 {
			close(begun)
			_, _ = io.Copy(io.Discard, r.Body) // then the server notices that the client leaves
			<-r.Context().Done()
			return
		}
		p.take(r)
		w.WriteHeader(http.StatusNoContent)
	})
	a := c.Acknowledger(holdline.AckOptions{Every: time.Millisecond, Attempt: 500 * time.Millisecond, Pace: quick})
	a.Delivered("a", 1)
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := a.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 300*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	harness.Eventually(t, "it is told", func() bool {
		delivered, _, _ := p.told()
		return delivered["a"] == 1
	})
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What does not fit into one call is told without anything new, and so is what a Flush could not tell.
func TestAcksAreToldWithoutMoreNews(t *testing.T) {
	t.Parallel()
	p := &posts{}
	var fails atomic.Bool
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if fails.CompareAndSwap(true, false) {
			refuses(w, http.StatusServiceUnavailable, "unavailable", "")
			return
		}
		p.take(r)
		w.WriteHeader(http.StatusNoContent)
	})
	a := c.Acknowledger(holdline.AckOptions{Every: time.Second, Pace: quick})
	want := map[string]int64{}
	for i := range int64(2500) {
		id := holdline.NewClientID()
		want[id] = i + 1
		a.Delivered(id, i+1)
	}
	all := func() bool {
		delivered, _, _ := p.told()
		return maps.Equal(delivered, want)
	}
	harness.Eventually(t, "all are told", all)

	// Once x is told, what comes within a second waits.
	want["x"], want["y"] = 1, 1
	a.Delivered("x", 1)
	harness.Eventually(t, "x is told", func() bool { delivered, _, _ := p.told(); return delivered["x"] == 1 })
	fails.Store(true)
	a.Delivered("y", 1)
	if err := a.Flush(t.Context()); err == nil {
		t.Error("the refusal was not told")
	}
	harness.Eventually(t, "y is told", all)
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// One name that is no conversation's must not take the others of its call with it. This is the real server.
func TestAnAckOfNoConversationStandsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Do(t.Context(), conformance.Command{Do: "say", Count: 3}); err != nil {
		t.Fatal(err)
	}
	var dropped []holdline.Acks
	a := newClient(t, w.URL(), w.Token()).Acknowledger(holdline.AckOptions{
		Every: time.Hour, OnRefused: func(acks holdline.Acks, _ error) { dropped = append(dropped, acks) },
	})
	a.Delivered("no id", 1)
	a.Delivered(w.ID("room"), 4)
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	heads, err := w.Do(t.Context(), conformance.Command{Do: "heads"})
	if err != nil || heads.Delivered[w.ID("room")] != 4 {
		t.Errorf("%+v, %v", heads, err)
	}
	if len(dropped) != 1 || len(dropped[0].Delivered) != 1 || !strings.Contains(strings.Join(keys(dropped[0].Delivered), ""), "no id") {
		t.Errorf("refused: %+v", dropped)
	}
}

func keys(m holdline.Watermarks) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}
