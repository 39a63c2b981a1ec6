package bench

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"holdline/store"
)

func TestOnlyEventsAreReadFromAnInbox(t *testing.T) {
	const event = "event: message\ndata: {\"conversation_id\":\"4Jx0aQ7bTz1\",\"seq\":12,\"type\":\"message\",\"text\":\"\\\"seq\\\":7\"}\nid: AcdHx1yBAgECkq0o8Zb1yA\n\n"
	f, ok := parseInboxFrame([]byte(event))
	if !ok || string(f.conversation) != "4Jx0aQ7bTz1" || f.seq != 12 || string(f.cursor) != "AcdHx1yBAgECkq0o8Zb1yA" {
		t.Errorf("got %s %d %s, %v", f.conversation, f.seq, f.cursor, ok)
	}
	for _, other := range []string{
		testFrames[0],
		testFrames[1],
		"event: receipt\ndata: {\"conversation_id\":\"4Jx0aQ7bTz1\",\"user_id\":\"7Vb3mNc1LpA\",\"read_seq\":2}\n\n",
		"event: snapshot\ndata: {\"conversations\":[{\"last_message\":{\"conversation_id\":\"4Jx0aQ7bTz1\",\"seq\":3}}]}\nid: AcdHx1yB\n\n",
		"event: message\ndata: {\"conversation_id\":\"4J",
	} {
		if f, ok := parseInboxFrame([]byte(other)); ok {
			t.Errorf("%q was read as event %d of %s", other, f.seq, f.conversation)
		}
	}
}

func TestPagesMustHoldWhatWasMissed(t *testing.T) {
	type event = struct {
		ConversationID string `json:"conversation_id"`
		Seq            int64  `json:"seq"`
	}
	for name, c := range map[string]struct {
		events []event
		fault  string
	}{
		"all of it":      {[]event{{"a", 2}, {"b", 2}, {"b", 3}, {"a", 3}}, ""},
		"one missing":    {[]event{{"a", 2}, {"b", 2}, {"b", 3}}, "1 events missing"},
		"one left out":   {[]event{{"a", 3}}, "gave event 3, 2 was next"},
		"one twice":      {[]event{{"a", 2}, {"a", 2}}, "gave event 2, 3 was next"},
		"one too many":   {[]event{{"a", 2}, {"a", 3}, {"a", 4}}, "gave event 4, 4 was next"},
		"somebody elses": {[]event{{"c", 2}}, "gave event 2, 0 was next"},
	} {
		m := newMissed([]string{"a", "b"}, 2)
		err := m.take(&inboxPage{Events: c.events})
		if err == nil {
			err = m.done()
		}
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPageHasACursor(t *testing.T) {
	p, err := parsePage([]byte(`{"events":[{"conversation_id":"a","seq":2,"type":"message"}],"receipts":[],"cursor":"AbC","more":true}`))
	if err != nil || len(p.Events) != 1 || p.Cursor != "AbC" || !p.More {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, body := range []string{`{"events":[]}`, `[`} {
		if _, err := parsePage([]byte(body)); err == nil {
			t.Errorf("%s was read as a page", body)
		}
	}
}

func TestWhatMovesIsSpreadEvenly(t *testing.T) {
	items := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for n, want := range map[int][]int{1: {0}, 3: {0, 3, 6}, 4: {0, 2, 5, 7}, 10: items} {
		if got := spread(items, n); !slices.Equal(got, want) {
			t.Errorf("%d of them: %v, want %v", n, got, want)
		}
	}
}

func TestMiddleAndMost(t *testing.T) {
	for _, c := range []struct {
		in           []int
		middle, most int
	}{{nil, 0, 0}, {[]int{7}, 7, 7}, {[]int{30, 10, 20}, 20, 30}, {[]int{40, 10, 30, 20}, 20, 40}} {
		if middle, most := middleAndMost(slices.Clone(c.in)); middle != c.middle || most != c.most {
			t.Errorf("%v: %d and %d, want %d and %d", c.in, middle, most, c.middle, c.most)
		}
	}
}

func TestOneReadersWritesAreToldFromRows(t *testing.T) {
	begin := time.UnixMilli(1_000_000)
	row := func(user store.ID, ms int64) receiptRow { return receiptRow{user, store.Millis(1_000_000 + ms)} }
	rows := []receiptRow{
		row(1, -1), row(1, -1), // before the window
		row(1, 0), row(1, 0), row(2, 0), row(2, 0), // one transaction, two writes, four rows
		row(1, 1500), row(1, 1500),
		row(3, 1999),
		row(1, 2000), // behind it
	}
	var r AcksRound
	r.countWrites(rows, window{begin, begin.Add(2 * time.Second)}, 4)
	want := AcksRound{Rows: 3.5, Writes: 2, Transactions: 1.5, PerReader: 0.5, Busiest: 1}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

func TestWindowsOfAcksAreWholeSeconds(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{1: time.Second, time.Second: time.Second, 2500 * time.Millisecond: 3 * time.Second} {
		if got := wholeSeconds(d); got != want {
			t.Errorf("%v: %v, want %v", d, got, want)
		}
	}
}

func TestPollsMustBeWaitingStill(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }() // the test is over
	// On loopback a write has arrived when it returns.
	poll := func(serve func(net.Conn) error) *wire {
		w, err := dial(ln.Addr().String(), 64)
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = errors.Join(w.Close(), server.Close()) })
		if err := serve(server); err != nil {
			t.Fatal(err)
		}
		return w
	}
	waiting := func() *wire { return poll(func(net.Conn) error { return nil }) }
	if _, err := (idlePolls{waiting(), waiting()}).stillThere(); err != nil {
		t.Errorf("polls that wait: %v", err)
	}
	for fault, serve := range map[string]func(net.Conn) error{
		"poll 2 of 2 was answered before memory was read: HTTP/1.1 200 OK": func(c net.Conn) error {
			_, err := c.Write([]byte("HTTP/1.1 200 OK"))
			return err
		},
		"poll 2 of 2 was cut": net.Conn.Close,
	} {
		if _, err := (idlePolls{waiting(), poll(serve)}).stillThere(); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("got %v, want %s", err, fault)
		}
	}
}

func TestBatchesAreTimed(t *testing.T) {
	var b timed
	b.batches.Store(10)
	b.sends.Store(100)
	b.batched.Store(int64(time.Second))
	before := b.read()
	b.batches.Add(4)
	b.sends.Add(200)
	b.batched.Add(int64(100 * time.Millisecond))
	b.closing.Add(int64(30 * time.Millisecond))
	if got, want := b.round(before, 2*time.Second), (HorizonRound{PerSecond: 100, PerBatch: 50, Batch: 25, Closing: 15}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCatchUpsAreSummedUp(t *testing.T) {
	r := CatchUpRun{Rounds: []CatchUpRound{
		{Cold: PagesTime{1, 10}, Warm: PagesTime{4, 40}, Plain: 2},
		{Cold: PagesTime{3, 30}, Warm: PagesTime{6, 60}, Plain: 1},
		{Cold: PagesTime{2, 20}, Warm: PagesTime{5, 50}, Plain: 5},
	}}
	r.sumUp()
	if r.ColdFirst != 2 || r.ColdAll != 20 || r.WarmFirst != 5 || r.WarmAll != 50 || r.Ratio != 2 {
		t.Errorf("got %+v", r)
	}
}
