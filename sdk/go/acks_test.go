package holdline_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/sdk/conformance"
	holdline "holdline/sdk/go"
)

// posts are what an Acknowledger has told a script.
type posts struct {
	mu  sync.Mutex
	all []holdline.Acks
	at  []time.Time
}

func (p *posts) take(r *http.Request) holdline.Acks {
	var a holdline.Acks
	_ = json.NewDecoder(r.Body).Decode(&a) // an empty one then
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all, p.at = append(p.all, a), append(p.at, time.Now())
	return a
}

// told is the highest watermark of each conversation, and how many calls there were.
func (p *posts) told() (delivered, read map[string]int64, calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delivered, read = map[string]int64{}, map[string]int64{}
	for _, a := range p.all {
		for id, seq := range a.Delivered {
			delivered[id] = max(delivered[id], seq)
		}
		for id, seq := range a.Read {
			read[id] = max(read[id], seq)
		}
	}
	return delivered, read, len(p.all)
}

// Watermarks are merged, told at most so often, again after a failure, and at the latest by Close.
func TestAcksAreGathered(t *testing.T) {
	t.Parallel()
	p := &posts{}
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		p.take(r)
		if n == 0 {
			refuses(w, http.StatusServiceUnavailable, "overloaded", "")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	const every = 100 * time.Millisecond
	a := c.Acknowledger(holdline.AckOptions{Every: every, Pace: quick})
	for seq := range int64(1000) {
		a.Delivered("a", seq)
		a.Read("b", 1000-seq)
	}
	harness.Eventually(t, "it is told", func() bool {
		delivered, read, _ := p.told()
		return delivered["a"] == 999 && read["b"] == 1000
	})
	a.Read("a", 5)
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, read, calls := p.told()
	if read["a"] != 5 || calls > 5 {
		t.Errorf("%v after %d calls", read, calls)
	}
	for i := 1; i < len(p.at)-1; i++ { // the last is Close's
		if apart := p.at[i].Sub(p.at[i-1]); apart < every/2 {
			t.Errorf("two calls within %v", apart)
		}
	}
}

// More than a call may name are told in several.
func TestManyAcks(t *testing.T) {
	t.Parallel()
	p := &posts{}
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if a := p.take(r); len(a.Delivered) > 1000 {
			t.Errorf("%d in one call", len(a.Delivered))
		}
		w.WriteHeader(http.StatusNoContent)
	})
	a := c.Acknowledger(holdline.AckOptions{Every: time.Hour})
	want := map[string]int64{}
	for i := range int64(2500) {
		id := holdline.NewClientID()
		want[id] = i + 1
		a.Delivered(id, i+1)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if delivered, _, _ := p.told(); !maps.Equal(delivered, want) {
		t.Errorf("%d were told", len(delivered))
	}
}

// A call is applied as a whole or not at all, so the one watermark that the server refuses must not take the others
// with it. This is the real server, to which a seq beyond the end is such a one.
func TestARefusedAckStandsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Do(t.Context(), conformance.Command{Do: "say", Count: 3}); err != nil {
		t.Fatal(err)
	}
	var dropped []holdline.Acks
	a := newClient(t, w.URL(), w.Token()).Acknowledger(holdline.AckOptions{OnRefused: func(acks holdline.Acks, _ error) { dropped = append(dropped, acks) }})
	a.Delivered(w.ID("room"), 4)
	a.Read(w.ID("room"), 3)
	a.Read(w.ID("side"), 999)
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(dropped) != 1 || len(dropped[0].Delivered) > 0 || dropped[0].Read[w.ID("side")] != 999 {
		t.Errorf("refused: %+v", dropped)
	}
	heads, err := w.Do(t.Context(), conformance.Command{Do: "heads"})
	if err != nil || heads.Delivered[w.ID("room")] != 4 {
		t.Errorf("%+v, %v", heads, err)
	}
}

func TestCloseSaysWhatWasNotTold(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		refuses(w, http.StatusServiceUnavailable, "unavailable", "")
	})
	a := c.Acknowledger(holdline.AckOptions{Pace: quick})
	a.Delivered("a", 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.Close(ctx); err == nil {
		t.Error("nothing")
	}
}
