package api

import (
	"database/sql"
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/poller"
)

// tables are the tables of a SQLite database.
func tables(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		names = append(names, name)
	}
	must(t, rows.Err())
	return names
}

// backUp remembers what a database holds; restore puts it back under a new
// epoch, in one transaction, as a fail-over to a node that lags does to servers
// that run on.
func backUp(t *testing.T, path string) (restore func()) {
	t.Helper()
	db := rawSQLite(t, path)
	db.SetMaxOpenConns(1) // temporary tables are a connection's
	exec := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		must(t, err)
	}
	names := tables(t, db)
	exec(`BEGIN`)
	for _, name := range names {
		exec(`CREATE TEMP TABLE kept_` + name + ` AS SELECT * FROM main.` + name)
	}
	exec(`COMMIT`)
	return func() {
		t.Helper()
		exec(`BEGIN IMMEDIATE`)
		for _, name := range names {
			exec(`DELETE FROM main.` + name)
			exec(`INSERT INTO main.` + name + ` SELECT * FROM kept_` + name)
		}
		exec(`UPDATE meta SET value = 'other1' WHERE key = 'epoch'`)
		exec(`COMMIT`)
	}
}

// A server that goes on with a restored database follows what that says of
// members and watermarks, not what it knew before.
func TestInboxForgetsWhatARestoredDatabaseDoesNotKnow(t *testing.T) {
	t.Parallel()
	path := testdb.SQLite(t)
	w, _ := newNode(t, openSQLite(t, path), poller.Options{SweepInterval: 50 * time.Millisecond}, nil)
	ann, bob := w.signUp("ann"), w.signUp("bob")
	left, read := w.group(ann, "bob").Id, w.group(ann, "bob").Id
	w.send(ann, read, "1", "hello") // 2
	w.send(ann, read, "2", "hello") // 3
	restore := backUp(t, path)
	before := map[string]*device{"ann": w.connect(ann, "start"), "bob": w.connect(bob, "start")}
	w.ack(bob, Acks{Read: Watermarks{read: 3}})
	w.remove(ann, left, bob) // 2
	before["ann"].until("the receipt", func() bool { return before["ann"].receiptOf(read, bob).ReadSeq == 3 })
	before["bob"].until("the removal", func() bool { return before["bob"].has(left) == 2 })
	streams := []*inboxTap{
		w.inboxStream(ann.Token, "?cursor="+before["ann"].cursor, nil), w.inboxStream(bob.Token, "?cursor="+before["bob"].cursor, nil),
	}
	restore()
	for _, s := range streams {
		s.ended("reset", "cursor_reset", "Begin again")
	}

	again := w.deviceOf(ann, true)
	s := w.inboxStream(ann.Token, "", nil)
	again.follow(s)
	w.ack(bob, Acks{Read: Watermarks{read: 2}})
	for again.receiptOf(read, bob).ReadSeq == 0 {
		again.follow(s)
	}
	if r := again.receiptOf(read, bob); r.ReadSeq != 2 {
		t.Errorf("told of what is gone: %+v", r)
	}

	again = w.deviceOf(bob, true)
	s = w.inboxStream(bob.Token, "", nil)
	again.follow(s)
	w.send(ann, left, "1", "you never left") // 2
	inVain := time.AfterFunc(patience, s.close)
	defer inVain.Stop()
	for again.has(left) < 2 {
		again.follow(s)
	}
}

// A stream that was on its way when the epoch changed is told as well.
func TestInboxStreamThatOpensWhileTheEpochChangesIsReset(t *testing.T) {
	t.Parallel()
	path := testdb.SQLite(t)
	log := &slowLog{}
	w, _ := newNodeReading(t, openSQLite(t, path), poller.Options{SweepInterval: 50 * time.Millisecond}, nil, func(inner poller.Log) poller.Log {
		log.Log = inner
		return log
	})
	ann := w.signUp("ann")
	restored := func() {
		_, err := rawSQLite(t, path).ExecContext(t.Context(), `UPDATE meta SET value = 'other1' WHERE key = 'epoch'`)
		must(t, err)
		eventually(t, "the new epoch", func() bool { return w.poller.Epoch() == "other1" })
	}
	log.begun.Store(&restored)
	s := w.inboxStream(ann.Token, "", nil)
	inVain := time.AfterFunc(patience, s.close)
	defer inVain.Stop()
	if f := s.must(); f.event != "snapshot" {
		t.Fatalf("%+v", f)
	}
	s.ended("reset", "cursor_reset", "Begin again")
}
