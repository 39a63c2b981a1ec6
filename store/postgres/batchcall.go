package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"holdline/internal/planted"
	"holdline/store"
)

// appendCall is a whole batch in one exchange, as long as nothing is wrong with
// any of it: every row is free, the horizon is still the guess, every session
// and membership holds, no client_id is known. Else it stores nothing and
// returns NULLs. The steps and their order are those of appendOn.
//
// A VOLATILE function takes a new snapshot for each statement in it (PostgreSQL
// manual, "Function Volatility Categories"), so what follows the row locks sees
// all that was committed before they were given.
//
// An item is the place-th new event of the nth conversation. The answer is
// where the conversations stood before, in their order, which is ascending.
//
// It lives in the connection's own schema, so that nodes of different versions
// can share a database.
const appendCall = `CREATE FUNCTION pg_temp.append_batch(
		conversations bigint[], counts int[], session_users bigint[], session_ids bigint[],
		nths int[], places int[], senders bigint[], clients text[], texts text[], targets bigint[],
		batch_stamp bigint, horizon_lock bigint, batch_time bigint, OUT seqs bigint[], OUT times bigint[])
	LANGUAGE plpgsql VOLATILE AS $$
	DECLARE
		in_time boolean;
	BEGIN
		SELECT array_agg(last_seq), array_agg(last_accepted_at), pg_try_advisory_xact_lock_shared(horizon_lock)
			INTO seqs, times, in_time
			FROM (SELECT last_seq, last_accepted_at FROM conversations WHERE conversation_id = ANY(append_batch.conversations)
				ORDER BY conversation_id FOR UPDATE SKIP LOCKED) head;
		IF in_time AND cardinality(seqs) = cardinality(append_batch.conversations) AND
			(SELECT h = batch_stamp FROM horizon WHERE id = 1) AND
			(SELECT bool_and(COALESCE((SELECT ` + store.LiveSession + ` FROM sessions s JOIN users u ON u.user_id = s.user_id
					WHERE s.user_id = i.u AND s.session_id = i.s), FALSE))
				FROM unnest(session_users, append_batch.session_ids) AS i (u, s)) AND
			(SELECT bool_and(COALESCE((SELECT to_seq = 0 FROM memberships
					WHERE user_id = i.u AND conversation_id = append_batch.conversations[i.n]), FALSE)
				AND (SELECT seq FROM events
					WHERE conversation_id = append_batch.conversations[i.n] AND sender_id = i.u AND client_id = i.k LIMIT 1) IS NULL)
				FROM unnest(nths, senders, clients) AS i (n, u, k))
		THEN
			INSERT INTO events (conversation_id, seq, type, sender_id, client_id, text, target_seq, accepted_at, stamp)
				SELECT append_batch.conversations[i.n], seqs[i.n] + i.place, 'message', i.u, i.k, i.t, i.r, GREATEST(times[i.n], batch_time), batch_stamp
				FROM unnest(nths, places, senders, clients, texts, targets) AS i (n, place, u, k, t, r);
			UPDATE conversations SET last_seq = last_seq + i.new, last_accepted_at = GREATEST(last_accepted_at, batch_time), last_stamp = batch_stamp
				FROM unnest(append_batch.conversations, counts) AS i (c, new) WHERE conversation_id = i.c;
		ELSE
			-- Nothing to make durable: the end of this transaction need not be waited for.
			PERFORM set_config('synchronous_commit', 'off', true);
			seqs := NULL;
		END IF;
	END $$`

const callAppend = `SELECT seqs, times FROM pg_temp.append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`

// prepareCall makes the function, unless this role may not: then every batch
// goes step by step.
func (c *batchConn) prepareCall(ctx context.Context) error {
	_, err := c.ExecContext(ctx, appendCall)
	var e *pq.Error
	if errors.As(err, &e) && e.Code == insufficientPrivilege {
		return nil
	}
	if err != nil {
		return err
	}
	return c.Raw(func(dc any) (err error) {
		c.call, err = dc.(driver.ConnPrepareContext).PrepareContext(ctx, callAppend)
		return err
	})
}

// insufficientPrivilege is the error of a role without TEMPORARY on the database.
const insufficientPrivilege = "42501"

// appendAtOnce tries the batch as one call. done is false when something is
// wrong with it, and nothing was stored.
func (b *Backend) appendAtOnce(c *batchConn, items []*store.Append, committed func([]store.Event)) (done bool, err error) {
	if c.call == nil {
		return false, nil
	}
	call := newBatchCall(items)
	if call == nil {
		return false, nil
	}
	stamp, now := b.horizon.Load(), store.MillisOf(b.options.Clock())
	var seqs, times pq.Int64Array
	// The statement is a transaction of its own. It is run below database/sql,
	// which would run it again on some errors of the connection.
	err = commit(c.Conn, func() error {
		return c.Raw(func(any) error {
			rows, err := c.call.(driver.StmtQueryContext).QueryContext(context.Background(), call.arguments(stamp, now))
			if err != nil {
				return err
			}
			return readCall(rows, &seqs, &times)
		})
	})
	if err != nil || seqs == nil {
		return false, err
	}
	committed(call.settle(items, seqs, times, stamp, now))
	return true, nil
}

// readCall reads the one row, then up to the end: an error of the commit comes
// after the row.
func readCall(rows driver.Rows, seqs, times *pq.Int64Array) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, 2)
	if err := rows.Next(values); err != nil {
		return err
	}
	if err := errors.Join(seqs.Scan(values[0]), times.Scan(values[1])); err != nil {
		return err
	}
	if err := rows.Next(values); !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the answer to a batch: %w", err)
	}
	return nil
}

// batchCall is a batch as the arguments of the call.
type batchCall struct {
	conversations, counts, sessionUsers, sessions []int64
	nths, places, senders, targets                []int64
	clients, texts                                []string
}

// newBatchCall returns nil for a batch that repeats a client_id within itself.
func newBatchCall(items []*store.Append) *batchCall {
	n := len(items)
	numbers := make([]int64, 5*n)
	texts := make([]string, 2*n)
	c := &batchCall{
		conversations: numbers[:0:n], nths: numbers[n : 2*n], places: numbers[2*n : 3*n],
		senders: numbers[3*n : 4*n], targets: numbers[4*n:], clients: texts[:n], texts: texts[n:],
	}
	for _, item := range items {
		c.conversations = append(c.conversations, int64(item.Send.ConversationID))
	}
	slices.Sort(c.conversations)
	c.conversations = slices.Compact(c.conversations)
	c.counts = make([]int64, len(c.conversations))
	clients := make(map[sendKey]struct{}, n)
	sessions := make(map[store.Actor]struct{}, n)
	for i, item := range items {
		send := &item.Send
		key := sendKey{send.ConversationID, send.Actor.UserID, send.ClientID}
		if _, again := clients[key]; again {
			return nil
		}
		clients[key] = struct{}{}
		if _, ok := sessions[send.Actor]; !ok {
			sessions[send.Actor] = struct{}{}
			c.sessionUsers, c.sessions = append(c.sessionUsers, int64(send.Actor.UserID)), append(c.sessions, int64(send.Actor.SessionID))
		}
		nth, _ := slices.BinarySearch(c.conversations, int64(send.ConversationID))
		c.counts[nth]++
		c.nths[i], c.places[i] = int64(nth+1), c.counts[nth] // arrays in SQL begin at 1
		c.senders[i], c.targets[i] = int64(send.Actor.UserID), send.ReplyTo
		c.clients[i], c.texts[i] = send.ClientID, send.Text
	}
	return c
}

// arguments are those of callAppend, as the driver sends them.
func (c *batchCall) arguments(stamp int64, now store.Millis) []driver.NamedValue {
	var buf []byte
	named := make([]driver.NamedValue, 0, 13)
	places := c.places
	if planted.On(planted.BatchReordered) {
		places = slices.Clone(places)
		for i, nth := range c.nths {
			places[i] = c.counts[nth-1] + 1 - places[i]
		}
	}
	add := func(v driver.Value) {
		named = append(named, driver.NamedValue{Ordinal: len(named) + 1, Value: v})
	}
	literal := func(fill func([]byte) []byte) {
		from := len(buf)
		buf = fill(buf)
		add(buf[from:len(buf):len(buf)])
	}
	integers := func(values []int64) { literal(func(b []byte) []byte { return appendIntegers(b, values) }) }
	texts := func(values []string) { literal(func(b []byte) []byte { return appendTexts(b, values) }) }
	integers(c.conversations)
	integers(c.counts)
	integers(c.sessionUsers)
	integers(c.sessions)
	integers(c.nths)
	integers(places)
	integers(c.senders)
	texts(c.clients)
	texts(c.texts)
	integers(c.targets)
	add(stamp)
	add(horizonKey + stamp)
	add(int64(now))
	return named
}

// appendIntegers appends an array literal (PostgreSQL manual, "Array Value
// Input"). pq.Array would make each a string first: a copy of every text.
func appendIntegers(b []byte, values []int64) []byte {
	b = append(b, '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, v, 10)
	}
	return append(b, '}')
}

// appendTexts is appendIntegers for strings.
func appendTexts(b []byte, values []string) []byte {
	b = append(b, '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		for {
			special := strings.IndexAny(v, `"\`)
			if special < 0 {
				break
			}
			b = append(b, v[:special]...)
			b = append(b, '\\', v[special])
			v = v[special+1:]
		}
		b = append(b, v...)
		b = append(b, '"')
	}
	return append(b, '}')
}

// settle sets the outcomes and returns the new events in order.
func (c *batchCall) settle(items []*store.Append, seqs, times []int64, stamp int64, now store.Millis) []store.Event {
	events := make([]store.Event, len(items))
	for i, item := range items {
		nth := c.nths[i] - 1
		item.Event = store.NewMessage(&item.Send, seqs[nth]+c.places[i], max(now, store.Millis(times[nth])), stamp)
		events[i] = item.Event
	}
	return events
}
