package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/store"
)

// A commit whose answer is lost is a named case, and repeating the send with
// its client_id finds the one message that was stored (store promises 3 and 5).
func TestCommitOfUnknownOutcome(t *testing.T) {
	t.Run("in one call", func(t *testing.T) {
		w := newWorld(t)
		unknownOutcomes(t, w, w.url, `{"text `) // as in the arguments of the call
	})
	t.Run("step by step", func(t *testing.T) {
		w := newWorldAt(t, testdb.Cluster(t).URL("postgres"))
		unknownOutcomes(t, w, w.asPlainRole(), commitStatement)
	})
}

func unknownOutcomes(t *testing.T, w *world, url, commit string) {
	p, through := newProxy(t, url, commit)
	var fed []store.Event
	node := w.start(through, store.Options{
		Feed:            func(events []store.Event) { fed = append(fed, events...) },
		HorizonInterval: time.Hour, // its own commits would be dropped in place of the send's
	})
	stored := 0
	for i := range 10 {
		send := w.send(w.alice, fmt.Sprint(i), fmt.Sprint("text ", i))
		p.dropCommits.Store(1)
		got := <-w.appendAsync(node, send)
		if store.CodeOf(got.err) != store.CodeOutcomeUnknown {
			t.Fatalf("send %d, its COMMIT unanswered: %+v, want %s", i, got, store.CodeOutcomeUnknown)
		}
		p.dropCommits.Store(0)
		got = <-w.appendAsync(node, send)
		if got.err != nil || got.event.Text != send.Text {
			t.Fatalf("the repeat of send %d: %+v, want the stored event", i, got)
		}
		if got.duplicate {
			stored++
		}
	}
	// A call that finds the horizon moved on stores nothing, and that answer may be lost too.
	if stored == 0 || commit == commitStatement && stored != 10 {
		t.Fatalf("%d of 10 sends without an answer had been stored", stored)
	}
	if p.dropped.Load() < 10 {
		t.Fatalf("only %d answers were dropped", p.dropped.Load())
	}
	if texts := w.texts(); len(texts) != 10 {
		t.Fatalf("the log holds %q", texts)
	}
	if len(fed) != 10-stored {
		t.Fatalf("%d of 10 sends were stored without an answer, and these were fed: %+v", stored, fed)
	}
}

// Structural changes name the case too.
func TestUnknownOutcomeOfAMemberChange(t *testing.T) {
	w := newWorld(t)
	carol := w.user("carol")
	p, through := newProxy(t, w.url, commitStatement)
	node := w.start(through, store.Options{HorizonInterval: time.Hour})
	p.dropCommits.Store(1)
	_, err := node.AddMembers(t.Context(), w.alice, w.group, []string{"carol"})
	if store.CodeOf(err) != store.CodeOutcomeUnknown {
		t.Fatalf("adding a member, COMMIT unanswered: %v, want %s", err, store.CodeOutcomeUnknown)
	}
	p.dropCommits.Store(0)
	if events, err := node.AddMembers(t.Context(), w.alice, w.group, []string{"carol"}); err != nil || len(events) != 0 {
		t.Fatalf("adding again: %v, %v; want nothing to do", events, err)
	}
	if m, err := w.node.Membership(t.Context(), w.group, carol.UserID); err != nil || !m.Current() {
		t.Fatalf("%+v, %v", m, err)
	}
	w.log()
}
