package api

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/testdb"
	"holdline/poller"
	"holdline/store"
)

// slowLog is a log whose reads of watermarks may take their time to arrive.
type slowLog struct {
	poller.Log
	begun   atomic.Pointer[func()]        // runs once, when a first connect has its place
	moved   atomic.Pointer[chan struct{}] // what the readers of all moves wait for, with what they read
	read    chan struct{}                 // cap 1: such a reader waits
	forUser atomic.Pointer[func()]        // runs once, behind a reading of what moved for a user
}

func (l *slowLog) Moved(ctx context.Context, user store.ID, since, from int64, limit int) (store.MovedPage, error) {
	page, err := l.Log.Moved(ctx, user, since, from, limit)
	once(&l.begun)
	return page, err
}

func (l *slowLog) MovesIn(ctx context.Context, conversations []store.ID, since int64) ([]store.WatermarkMove, error) {
	moves, err := l.Log.MovesIn(ctx, conversations, since)
	if gate := l.moved.Swap(nil); gate != nil {
		l.read <- struct{}{}
		<-*gate
	}
	return moves, err
}

func (l *slowLog) MovesFor(ctx context.Context, user store.ID, since int64) ([]store.WatermarkMove, error) {
	moves, err := l.Log.MovesFor(ctx, user, since)
	once(&l.forUser)
	return moves, err
}

func once(f *atomic.Pointer[func()]) {
	if run := f.Swap(nil); run != nil {
		(*run)()
	}
}

// newSlowLog is a server that reads through a slowLog, and a group of two with
// three events.
func newSlowLog(t *testing.T) (w *world, log *slowLog, ann, bob account, group string) {
	log = &slowLog{read: make(chan struct{}, 1)}
	w, _ = newNodeReading(t, openSQLite(t, testdb.SQLite(t)), slowSweep, nil, func(inner poller.Log) poller.Log {
		log.Log = inner
		return log
	})
	ann, bob = w.signUp("ann"), w.signUp("bob")
	group = w.group(ann, "bob").Id
	w.send(ann, group, "1", "hello") // 2
	w.send(ann, group, "2", "hello") // 3
	return w, log, ann, bob, group
}

// A receipt that was read before the snapshot of a first connect and arrives
// behind it is older than what the snapshot shows.
func TestInboxReceiptsDoNotGoBackBehindASnapshot(t *testing.T) {
	t.Parallel()
	w, log, ann, bob, group := newSlowLog(t)
	followed := w.connect(ann, "start") // so that somebody's inbox is told of the group
	followed.drain("")
	gate := make(chan struct{})
	acks := func() {
		log.moved.Store(&gate)
		w.ack(bob, Acks{Delivered: Watermarks{group: 2}})
		<-log.read
		w.ack(bob, Acks{Read: Watermarks{group: 3}})
	}
	log.begun.Store(&acks)
	s := w.inboxStream(ann.Token, "?from=now", nil)
	d := w.deviceOf(ann, true)
	d.follow(s)
	if r := d.receiptOf(group, bob); r.DeliveredSeq != 3 || r.ReadSeq != 3 {
		t.Fatalf("the snapshot: %+v", r)
	}
	close(gate)
	time.AfterFunc(100*time.Millisecond, func() { w.send(bob, group, "3", "hello") })
	for d.has(group) < 4 {
		d.follow(s) // takes no receipt that goes back
	}
}

// In one answer the snapshot comes first, and the receipts beside it are not older.
func TestInboxReceiptsAreNotOlderThanTheSnapshotBesideThem(t *testing.T) {
	t.Parallel()
	w, log, ann, bob, group := newSlowLog(t)
	w.ack(bob, Acks{Delivered: Watermarks{group: 2}})
	gate := make(chan struct{})
	ack := func() {
		log.moved.Store(&gate)
		w.ack(bob, Acks{Read: Watermarks{group: 3}})
	}
	log.forUser.Store(&ack)
	d := w.connect(ann, "start")
	close(gate)
	d.drain("")
	if r := d.receiptOf(group, bob); r.DeliveredSeq != 3 || r.ReadSeq != 3 {
		t.Errorf("in the end: %+v", r)
	}
}
