package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"holdline/store"
	"holdline/store/postgres"
)

// A removal that commits while a batch waits for the row lock: the batch must
// see it, though its first statement began before it (store promise 4).
func TestRemovalWhileABatchWaitsForTheRowLock(t *testing.T) {
	w := newWorld(t)
	removal := w.hold(w.lockGroup(),
		fmt.Sprintf("UPDATE members SET to_seq = 2 WHERE conversation_id = %d AND user_id = %d", int64(w.group), int64(w.bob.UserID)),
		fmt.Sprintf(`INSERT INTO events (conversation_id, seq, type, sender_id, subject_id, action, accepted_at, stamp)
			SELECT conversation_id, 2, 'member', %d, %d, 'removed', last_accepted_at, (SELECT h FROM horizon)
			FROM conversations WHERE conversation_id = %d`, int64(w.alice.UserID), int64(w.bob.UserID), int64(w.group)),
		fmt.Sprintf(`UPDATE memberships SET to_seq = 2, stamp = (SELECT stamp FROM events WHERE conversation_id = %[1]d AND seq = 2)
			WHERE conversation_id = %[1]d AND user_id = %[2]d`, int64(w.group), int64(w.bob.UserID)),
		fmt.Sprintf(`UPDATE conversations SET last_seq = 2, last_stamp = (SELECT stamp FROM events WHERE conversation_id = %[1]d AND seq = 2)
			WHERE conversation_id = %[1]d`, int64(w.group)))
	fromBob := w.appendAsync(w.node, w.send(w.bob, "1", "too late"))
	w.until("bob's batch waits for the row", func() bool { return w.waiting("transactionid") == 1 })
	removal()
	if got := <-fromBob; store.CodeOf(got.err) != store.CodeNotFound {
		t.Fatalf("a send of a removed member: %+v, want %s", got, store.CodeNotFound)
	}
	if texts := w.texts(); len(texts) != 0 {
		t.Fatalf("the log holds %q", texts)
	}
}

// Two sends with one client_id in the same batch make one message.
func TestSameClientIDTwiceInOneBatch(t *testing.T) {
	w := newWorld(t)
	b, err := postgres.Open(t.Context(), postgres.Options{URL: w.url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	items := []*store.Append{
		{Send: w.send(w.alice, "1", "once")}, {Send: w.send(w.alice, "1", "once")},
		{Send: w.send(w.alice, "1", "another text")}, {Send: w.send(w.alice, "2", "twice")},
	}
	var fed []store.Event
	if err := b.AppendBatch(items, false, func(events []store.Event) { fed = slices.Clone(events) }); err != nil {
		t.Fatal(err)
	}
	if items[0].Err != nil || items[0].Duplicate || items[1].Err != nil || !items[1].Duplicate || items[0].Event != items[1].Event {
		t.Errorf("the repeat: %+v after %+v", items[1], items[0])
	}
	if store.CodeOf(items[2].Err) != store.CodeClientIDReused {
		t.Errorf("another text: %v, want %s", items[2].Err, store.CodeClientIDReused)
	}
	if len(fed) != 2 || fed[0] != items[0].Event || fed[1] != items[3].Event || fed[1].Seq != 3 {
		t.Errorf("fed %+v", fed)
	}
	if texts := w.texts(); !slices.Equal(texts, []string{"once", "twice"}) {
		t.Errorf("the log holds %q", texts)
	}
}

// The same client_id sent through two servers at once makes one message, and
// both are told the same.
func TestSameClientIDOnTwoServers(t *testing.T) {
	w := newWorld(t)
	other := w.start(w.url, store.Options{})
	const rounds = 50
	for i := range rounds {
		send := w.send(w.alice, fmt.Sprint(i), fmt.Sprint("text ", i))
		one, two := w.appendAsync(w.node, send), w.appendAsync(other, send)
		a, b := <-one, <-two
		if a.err != nil || b.err != nil || a.event != b.event || a.duplicate == b.duplicate {
			t.Fatalf("round %d: %+v and %+v", i, a, b)
		}
	}
	if texts := w.texts(); len(texts) != rounds {
		t.Fatalf("%d messages, want %d", len(texts), rounds)
	}
}

// A transaction that holds a row and stands still delays nobody else, and the
// sends to that conversation are answered: certainly not stored.
func TestFrozenTransactionHoldsARow(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.newGroup()
	release := w.hold(w.lockGroup())
	held := w.appendAsync(w.node, w.send(w.alice, "held", "waits"))
	w.until("the send waits at the side", func() bool { return w.waiting("transactionid") == 1 })
	for i := range 20 {
		send := store.Send{Actor: w.alice, ConversationID: elsewhere, ClientID: fmt.Sprint(i), Text: "free"}
		select {
		case got := <-w.appendAsync(w.node, send):
			if got.err != nil {
				t.Fatalf("a send to a free conversation: %v", got.err)
			}
		case got := <-held:
			t.Fatalf("the held send was answered (%+v) before %d sends elsewhere were", got, i+1)
		}
	}
	if got := <-held; store.CodeOf(got.err) != store.CodeUnavailable {
		t.Fatalf("the held send: %+v, want %s", got, store.CodeUnavailable)
	}
	release()
	if got := <-w.appendAsync(w.node, w.send(w.alice, "held", "waits")); got.err != nil || got.duplicate || got.event.Seq != 2 {
		t.Fatalf("the same send after the release: %+v", got)
	}
}

// A row that is held only briefly costs its senders the wait, not the message.
func TestBrieflyHeldRowIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	release := w.hold(w.lockGroup())
	var answers []<-chan answer
	for i := range 10 {
		answers = append(answers, w.appendAsync(w.node, w.send(w.alice, fmt.Sprint(i), fmt.Sprint(i))))
	}
	w.until("the side waits", func() bool { return w.waiting("transactionid") == 1 })
	release()
	for _, a := range answers {
		if got := <-a; got.err != nil {
			t.Fatal(got.err)
		}
	}
	if texts := w.texts(); len(texts) != 10 {
		t.Fatalf("the log holds %q", texts)
	}
}

// A horizon must not close while a commit under it is held open, and must
// close soon after; nothing with a closed stamp may appear later.
func TestHorizonClosingWhileACommitIsHeldOpen(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	b, err := postgres.Open(ctx, postgres.Options{URL: w.url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	stamped, commit := make(chan int64), make(chan struct{})
	written := make(chan error, 1)
	go func() {
		written <- b.Write(context.Background(), func(tx *store.Tx) error {
			stamp, err := b.Stamp(tx)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO revocations (user_id, session_id, stamp) VALUES (1, 0, ?)`, stamp); err != nil {
				return err
			}
			stamped <- stamp
			<-commit
			return nil
		}, func() {})
	}()
	stamp := <-stamped
	if _, _, err := w.node.Append(ctx, w.send(w.alice, "1", "moves the horizon")); err != nil {
		t.Fatal(err)
	}
	w.until("a mover waits for the open commit", func() bool { return w.waiting("advisory") >= 1 })
	h, closed, err := b.Horizon(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if closed >= stamp || h <= stamp {
		t.Fatalf("h %d, closed %d while stamp %d is uncommitted", h, closed, stamp)
	}
	// The writers go on meanwhile: a shared lock is only tried, never queued for.
	if got := <-w.appendAsync(w.node, w.send(w.alice, "2", "not stalled")); got.err != nil || got.event.Stamp <= stamp {
		t.Fatalf("a send while a mover waits: %+v", got)
	}
	close(commit)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	w.until("the horizon closes over the stamp", func() bool {
		_, closed, err := b.Horizon(ctx)
		return err == nil && closed >= stamp
	})
	changes, err := w.node.Changes(ctx, stamp-1)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes.Revocations) != 1 || changes.Closed < stamp {
		t.Fatalf("%+v: the row of the held commit is missing though its stamp %d is closed", changes, stamp)
	}
}

// Whatever a reader saw as closed stays complete: no event with a stamp at or
// below a closed horizon appears afterwards, under load on two nodes.
func TestNothingAppearsBelowAClosedHorizon(t *testing.T) {
	w := newWorld(t)
	other := w.start(w.url, store.Options{})
	groups := []store.ID{w.group, w.newGroup(), w.newGroup(), w.newGroup()}
	var senders sync.WaitGroup
	done := make(chan struct{})
	for n, node := range []*store.Store{w.node, other} {
		for s := range 4 {
			senders.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					default:
					}
					send := store.Send{Actor: w.alice, ConversationID: groups[(s+i)%len(groups)], ClientID: fmt.Sprint(n, "-", s, "-", i), Text: "x"}
					if _, _, err := node.Append(context.Background(), send); err != nil && store.CodeOf(err) != store.CodeUnavailable {
						t.Errorf("append: %v", err)
						return
					}
				}
			})
		}
	}
	seen := map[int64]int{} // closed horizon → events at or below it
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); {
		_, closed, err := horizonOf(w)
		if err != nil {
			t.Fatal(err)
		}
		seen[closed] = w.eventsUpTo(closed)
		for at, n := range seen {
			if now := w.eventsUpTo(at); now != n {
				t.Fatalf("horizon %d was closed with %d events, now has %d", at, n, now)
			}
		}
	}
	close(done)
	senders.Wait()
	if len(seen) < 3 {
		t.Fatalf("the horizon closed only %d times", len(seen))
	}
	w.log()
}

func horizonOf(w *world) (h, closed int64, err error) {
	err = w.raw.QueryRow(`SELECT h, closed FROM horizon`).Scan(&h, &closed)
	return h, closed, err
}

func (w *world) eventsUpTo(stamp int64) (n int) {
	if err := w.raw.QueryRow(`SELECT count(*) FROM events WHERE stamp <= $1`, stamp).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
