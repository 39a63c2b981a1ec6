package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdline/store"
	"holdline/store/sqlite"
)

func TestOpenNamesAMissingFolder(t *testing.T) {
	_, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "no", "such", "x.db")})
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Fatalf("Open: %v", err)
	}
}

func TestLockRefusesASecondServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	release, err := sqlite.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Lock(path); err == nil || !strings.Contains(err.Error(), "being served") {
		t.Fatalf("a second lock: %v", err)
	}
	release()
	again, err := sqlite.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// A full file refuses sends with storage_full, half-writes nothing, and takes
// sends again once there is room.
func TestStorageFull(t *testing.T) {
	w := newWorld(t, sqlite.Options{MaxPages: 120})
	big := strings.Repeat("x", store.MaxTextBytes)
	var stored int
	var full error
	for i := 0; i < 100 && full == nil; i++ {
		if _, _, full = w.node.Append(t.Context(), w.send(fmt.Sprint(i), big)); full == nil {
			stored++
		}
	}
	if store.CodeOf(full) != store.CodeStorageFull {
		t.Fatalf("after %d sends: %v, want %s", stored, full, store.CodeStorageFull)
	}
	w.check()
	if last, err := w.node.LastSeq(t.Context(), w.group); err != nil || last != int64(stored)+1 {
		t.Fatalf("last seq %d (%v) after %d stored sends", last, err, stored)
	}
	_, roomy := w.start(sqlite.Options{Path: w.path})
	e, duplicate, err := roomy.Append(t.Context(), w.send(fmt.Sprint(stored), big))
	if err != nil || duplicate || e.Seq != int64(stored)+2 {
		t.Fatalf("the refused send again, with room: %+v, %t, %v", e, duplicate, err)
	}
	w.check()
}

// The command line beside a running server is a second writer: seqs come from
// rows, so nothing collides.
func TestTwoWritersOnOneFile(t *testing.T) {
	w := newWorld(t, sqlite.Options{})
	_, other := w.start(sqlite.Options{Path: w.path})
	var senders sync.WaitGroup
	const each = 100
	for n, s := range []*store.Store{w.node, other} {
		for g := range 4 {
			senders.Go(func() {
				for i := range each / 4 {
					if _, _, err := s.Append(t.Context(), w.send(fmt.Sprint(n, g, i), "x")); err != nil {
						t.Errorf("append: %v", err)
					}
				}
			})
		}
	}
	senders.Wait()
	w.check()
	if last, err := w.node.LastSeq(t.Context(), w.group); err != nil || last != 2*each+1 {
		t.Fatalf("last seq %d (%v), want %d", last, err, 2*each+1)
	}
}

// An open reader must not make the WAL grow for ever, nor block the writer.
func TestOpenReaderDoesNotBlockTheWriter(t *testing.T) {
	w := newWorld(t, sqlite.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	reading, read := make(chan struct{}), make(chan error, 1)
	go func() {
		read <- w.back.Read(ctx, func(tx *store.Tx) error {
			var n int
			if err := tx.Get(&n, `SELECT count(*) FROM events`); err != nil {
				return err
			}
			close(reading)
			<-ctx.Done()
			return nil
		})
	}()
	<-reading
	for i := range 200 {
		if _, _, err := w.node.Append(t.Context(), w.send(fmt.Sprint(i), strings.Repeat("y", 8<<10))); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-read; err != nil && store.CodeOf(err) != store.CodeInternal {
		t.Fatal(err)
	}
	if err := w.node.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(w.path + "-wal"); err == nil && info.Size() > 0 {
		t.Fatalf("the WAL still holds %d bytes after closing", info.Size())
	}
}

// Nobody waits for ever: a send whose context ends returns at once.
func TestAppendReturnsWhenItsContextEnds(t *testing.T) {
	w := newWorld(t, sqlite.Options{})
	inside, leave := make(chan struct{}), make(chan struct{})
	written := make(chan error, 1)
	go func() {
		written <- w.back.Write(context.Background(), func(*store.Tx) error {
			close(inside)
			<-leave
			return nil
		}, func() {})
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := w.node.Append(ctx, w.send("1", "x")); store.CodeOf(err) != store.CodeOutcomeUnknown {
		t.Fatalf("append under an ended context: %v", err)
	}
	close(leave)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if e, duplicate, err := w.node.Append(t.Context(), w.send("1", "x")); err != nil || e.Seq != 2 {
		t.Fatalf("the repeat: %+v, %t, %v", e, duplicate, err)
	}
}
