package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"

	"holdline/store"
)

func (b *Backend) dropBatchConn() {
	if b.batch != nil {
		b.batch.close()
		b.batch = nil
	}
}

// AppendBatch implements store.Backend. The lane (wait false) has a connection
// of its own; a batch that waits for held rows borrows another.
func (b *Backend) AppendBatch(items []*store.Append, wait bool, committed func([]store.Event)) error {
	if wait {
		return b.appendAtTheSide(items, committed)
	}
	b.lane.Lock()
	defer b.lane.Unlock()
	if b.batch == nil {
		c, err := b.prepareLane(context.Background())
		if err != nil {
			return classify(err)
		}
		b.batch = c
	}
	done, err := b.appendAtOnce(b.batch, items, committed)
	if !done && err == nil {
		err = b.appendOn(b.batch, items, false, committed)
	}
	if err != nil {
		// It may be broken, or hold half a protocol exchange: a new one is cheap.
		b.dropBatchConn()
	}
	return err
}

// appendAtTheSide is a batch that waits, on one of a few connections that are
// kept with their statements: preparing them takes longer than the batch.
func (b *Backend) appendAtTheSide(items []*store.Append, committed func([]store.Event)) error {
	c, err := b.takeSide()
	if err != nil {
		return classify(err)
	}
	err = b.appendOn(c, items, true, committed)
	if err != nil {
		c.close()
		return err
	}
	select {
	case b.idleSides <- c:
	default:
		c.close()
	}
	return nil
}

// takeSide returns a kept connection that still answers, or a new one.
func (b *Backend) takeSide() (*batchConn, error) {
	for {
		select {
		case c := <-b.idleSides:
			if c.PingContext(context.Background()) == nil {
				return c, nil
			}
			c.close()
		default:
			return b.prepareBatchConn(context.Background(), b.sides)
		}
	}
}

func (b *Backend) appendOn(c *batchConn, items []*store.Append, wait bool, committed func([]store.Event)) error {
	tx, err := c.begin()
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	batch := &batch{items: items, heads: make(map[store.ID]*head, len(items))}
	if err := batch.lockHeads(c, wait); err != nil {
		var e *pq.Error
		if wait && errors.As(err, &e) && e.Code == lockNotAvailable {
			for _, item := range items {
				item.Held = true
			}
			return nil
		}
		return classify(err)
	}
	guess := b.horizon.Load()
	locked, err := batch.check(c, guess)
	if err != nil {
		return classify(err)
	}
	if len(batch.fresh) == 0 {
		return classify(tx.Rollback())
	}
	batch.number(store.MillisOf(b.options.Clock()))
	stamp, err := batch.insert(c, guess, locked)
	if err != nil {
		return classify(err)
	}
	b.horizon.Store(stamp)
	if err := commit(c.Conn, tx.Commit); err != nil {
		return err
	}
	committed(batch.settle(stamp))
	return nil
}

// head is where a conversation stands inside a batch.
type head struct {
	seq        int64
	acceptedAt store.Millis
	moved      bool
}

// batch is the state of one AppendBatch.
type batch struct {
	items []*store.Append
	heads map[store.ID]*head // the rows that are locked
	fresh []*store.Append    // what is to be inserted, in order
	again []repeat           // repeats of what the batch itself inserts
}

// repeat is an item with the client_id of an earlier item of the same batch.
type repeat struct{ item, of *store.Append }

// lockHeads is step 1: the conversation rows, in key order.
func (t *batch) lockHeads(c *batchConn, wait bool) error {
	ids := make([]int64, 0, len(t.items))
	seen := make(map[store.ID]struct{}, len(t.items))
	for _, item := range t.items {
		if _, ok := seen[item.Send.ConversationID]; !ok {
			seen[item.Send.ConversationID] = struct{}{}
			ids = append(ids, int64(item.Send.ConversationID))
		}
	}
	stmt := c.lockSkip
	if wait {
		stmt = c.lock
	}
	rows, err := stmt.Query(pq.Array(ids))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id store.ID
		h := &head{}
		if err := rows.Scan(&id, &h.seq, &h.acceptedAt); err != nil {
			return err
		}
		t.heads[id] = h
	}
	return rows.Err()
}

// check is step 2: session, membership and client_id of each item, as they are
// under the locks; and, guessing h, its shared lock. It sorts the items into
// refused, held, repeated and fresh.
func (t *batch) check(c *batchConn, guess int64) (locked bool, err error) {
	n := len(t.items)
	index, conversations, users, sessions, clients := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]string, n)
	for i, item := range t.items {
		index[i], conversations[i], clients[i] = int64(i), int64(item.Send.ConversationID), item.Send.ClientID
		users[i], sessions[i] = int64(item.Send.Actor.UserID), int64(item.Send.Actor.SessionID)
	}
	rows, err := c.check.Query(pq.Array(index), pq.Array(conversations), pq.Array(users), pq.Array(sessions), pq.Array(clients), horizonKey+guess)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	fresh := make([]bool, n) // rows come in any order
	for rows.Next() {
		var i int
		var session, member bool
		var seq, target, acceptedAt, stamp sql.NullInt64
		var text sql.NullString
		if err := rows.Scan(&i, &session, &member, &seq, &text, &target, &acceptedAt, &stamp, &locked); err != nil {
			return false, err
		}
		item := t.items[i]
		if item.Err = store.CheckSender(session, member); item.Err != nil {
			continue
		}
		if seq.Valid {
			stored := store.NewMessage(&item.Send, seq.Int64, store.Millis(acceptedAt.Int64), stamp.Int64)
			stored.Text, stored.TargetSeq = text.String, target.Int64
			item.Repeat(stored)
			continue
		}
		if _, ok := t.heads[item.Send.ConversationID]; !ok {
			item.Held = true
			continue
		}
		fresh[i] = true
	}
	t.dropRepeats(fresh)
	return locked, rows.Err()
}

type sendKey struct {
	conversation, sender store.ID
	client               string
}

// dropRepeats is step 3: of several items with one client_id the first is
// inserted and the others answer as it does.
func (t *batch) dropRepeats(fresh []bool) {
	first := make(map[sendKey]*store.Append, len(t.items))
	for i, item := range t.items {
		if !fresh[i] {
			continue
		}
		key := sendKey{item.Send.ConversationID, item.Send.Actor.UserID, item.Send.ClientID}
		if of, ok := first[key]; ok {
			t.again = append(t.again, repeat{item, of})
			continue
		}
		first[key] = item
		t.fresh = append(t.fresh, item)
	}
}

// number is step 4: seqs from the locked rows.
func (t *batch) number(now store.Millis) {
	for _, item := range t.fresh {
		h := t.heads[item.Send.ConversationID]
		h.seq, h.acceptedAt, h.moved = h.seq+1, max(now, h.acceptedAt), true
		item.Event = store.NewMessage(&item.Send, h.seq, h.acceptedAt, 0)
	}
}

// insert writes the events under the current horizon, whose shared lock it
// holds when it returns: the guess, if that was right, else as Stamp does.
func (t *batch) insert(c *batchConn, guess int64, locked bool) (stamp int64, err error) {
	n := len(t.fresh)
	conversations, seqs, users, targets, times := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	clients, texts := make([]string, n), make([]string, n)
	for i, item := range t.fresh {
		e := &item.Event
		conversations[i], seqs[i], users[i], targets[i], times[i] = int64(e.ConversationID), e.Seq, int64(e.SenderID), e.TargetSeq, int64(e.AcceptedAt)
		clients[i], texts[i] = e.ClientID, e.Text
	}
	movedIDs, movedSeqs, movedTimes := make([]int64, 0, len(t.heads)), make([]int64, 0, len(t.heads)), make([]int64, 0, len(t.heads))
	for id, h := range t.heads {
		if h.moved {
			movedIDs, movedSeqs, movedTimes = append(movedIDs, int64(id)), append(movedSeqs, h.seq), append(movedTimes, int64(h.acceptedAt))
		}
	}
	stamp = guess
	for {
		if locked {
			var h int64
			err := c.insert.QueryRow(stamp, pq.Array(conversations), pq.Array(seqs), pq.Array(users), pq.Array(clients), pq.Array(texts),
				pq.Array(targets), pq.Array(times), pq.Array(movedIDs), pq.Array(movedSeqs), pq.Array(movedTimes)).Scan(&h)
			if err != nil || h == stamp {
				return stamp, err
			}
			stamp = h
		} else if err := c.readH.QueryRow().Scan(&stamp); err != nil {
			return 0, err
		}
		if err := c.try.QueryRow(horizonKey + stamp).Scan(&locked); err != nil {
			return 0, err
		}
	}
}

// settle sets the outcomes that had to wait for the commit and returns the new
// events in order.
func (t *batch) settle(stamp int64) []store.Event {
	events := make([]store.Event, len(t.fresh))
	for i, item := range t.fresh {
		item.Event.Stamp = stamp
		events[i] = item.Event
	}
	for _, r := range t.again {
		r.item.Repeat(r.of.Event)
	}
	return events
}
