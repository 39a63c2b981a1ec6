package poller

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"holdline/store"
)

const (
	hintChannel = "holdline_hint"
	// maxHintPayload keeps a payload under PostgreSQL's 8000 bytes.
	maxHintPayload = 7900
	// hintsPerSend bounds the payloads of one transaction.
	hintsPerSend = 16

	minReconnect = 200 * time.Millisecond
	maxReconnect = 5 * time.Second
)

// PostgresHints carries hints by LISTEN and NOTIFY, over two connections of
// its own straight to the server: LISTEN does not work through a pooler in
// transaction mode. A payload is the sender's node id, then a word
// CONVERSATION:SEQ (seq in base 36) for each conversation.
//
// A transaction that notifies holds a lock of the whole cluster while it
// commits (PreCommit_Notify in async.c), so hints never share one with a
// write, and do not wait for the disk.
type PostgresHints struct {
	dsn    string
	node   string
	db     *sql.DB
	logger *slog.Logger
}

// NewPostgresHints makes hints between all nodes that use the database at
// rawURL (postgres://…). It connects when it is first used.
func NewPostgresHints(rawURL string, logger *slog.Logger) (*PostgresHints, error) {
	u, err := url.Parse(rawURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, fmt.Errorf("hints: the database must be given as a postgres:// URL")
	}
	if q := u.Query(); !q.Has("connect_timeout") {
		q.Set("connect_timeout", "5")
		u.RawQuery = q.Encode()
	}
	db, err := sql.Open("postgres", u.String())
	if err != nil {
		return nil, fmt.Errorf("hints: %w", err)
	}
	db.SetMaxOpenConns(1)
	return &PostgresHints{dsn: u.String(), node: store.NewID().String(), db: db, logger: logger}, nil
}

// Send implements Hints. Heads beyond what fits into one transaction are left
// to the others' sweeps.
func (h *PostgresHints) Send(ctx context.Context, heads []store.Head) error {
	var q strings.Builder
	// Losing a notification in a crash costs nothing, and its commit holds the
	// cluster's lock: so do not wait for the disk.
	q.WriteString("SET synchronous_commit TO off")
	payload := make([]byte, 0, maxHintPayload)
	for sent := 0; len(heads) > 0 && sent < hintsPerSend; sent++ {
		payload, heads = appendHints(append(payload[:0], h.node...), heads)
		q.WriteString("; NOTIFY " + hintChannel + ", " + pq.QuoteLiteral(string(payload)))
	}
	_, err := h.db.ExecContext(ctx, q.String())
	return err
}

// appendHints appends words for as many heads as fit, and returns the others.
func appendHints(payload []byte, heads []store.Head) ([]byte, []store.Head) {
	const longest = 1 + 11 + 1 + 13
	for len(heads) > 0 && len(payload)+longest <= maxHintPayload {
		payload = append(payload, ' ')
		payload = heads[0].ConversationID.Append(payload)
		payload = append(payload, ':')
		payload = strconv.AppendInt(payload, heads[0].LastSeq, 36)
		heads = heads[1:]
	}
	return payload, heads
}

// parseHints reads a payload; what it cannot read it leaves out, since
// anything in the database can notify.
func parseHints(payload string) (node string, heads []store.Head) {
	node, rest, _ := strings.Cut(payload, " ")
	for word := range strings.FieldsSeq(rest) {
		name, number, _ := strings.Cut(word, ":")
		id, ok := store.ParseID(name)
		seq, err := strconv.ParseInt(number, 36, 64)
		if ok && err == nil && seq > 0 {
			heads = append(heads, store.Head{ConversationID: id, LastSeq: seq})
		}
	}
	return node, heads
}

// Receive implements Hints.
func (h *PostgresHints) Receive(ctx context.Context, receive func([]store.Head), lost func()) {
	wait, failing := minReconnect, false
	for ctx.Err() == nil {
		began := time.Now()
		err := h.listen(ctx, receive, func() {
			if failing {
				h.logger.Info("hints: listening again")
			}
			failing = false
			lost()
		})
		if ctx.Err() != nil {
			return
		}
		if !failing {
			h.logger.Warn("hints: the connection that listens is lost; sweeping until it is back", "error", err)
			failing = true
		}
		if time.Since(began) > maxReconnect {
			wait = minReconnect
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, maxReconnect)
	}
}

// listen receives over one connection until it is lost or ctx ends.
func (h *PostgresHints) listen(ctx context.Context, receive func([]store.Head), listening func()) error {
	notices := make(chan *pq.Notification, 64)
	conn, err := pq.NewListenerConn(h.dsn, notices)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := conn.Listen(hintChannel); err != nil {
		_ = conn.Close()
		for range notices { // closed by the connection's own goroutine as it ends
		}
		return err
	}
	listening()
	for notice := range notices {
		if node, heads := parseHints(notice.Extra); node != h.node {
			receive(heads)
		}
	}
	return conn.Err()
}

// Close closes the connection that sends. Close the Poller first: it is what
// ends Receive, and with it the connection that listens.
func (h *PostgresHints) Close() error { return h.db.Close() }
