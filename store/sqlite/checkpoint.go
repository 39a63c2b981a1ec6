package sqlite

import (
	"context"
	"os"
	"time"
)

const (
	checkpointEvery = 200 * time.Millisecond // while there are writes
	checkpointBytes = 4 << 20                // below this a WAL is left alone
	truncateBytes   = 64 << 20               // past this the writer waits for the WAL to be emptied
	truncateEvery   = 45 * time.Second       // so that deleted text leaves the WAL within a minute
)

// keepCheckpoints moves WAL frames into the database file beside the writer,
// which therefore never pays for it. A passive checkpoint disturbs nobody but
// cannot shorten a WAL that is being written, so once it is long, and every
// truncateEvery, the writer is held for the moment that emptying it takes.
func (b *Backend) keepCheckpoints(ctx context.Context) {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	truncated, dirty := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case <-b.written:
			dirty = true
		default:
		}
		if !dirty {
			continue
		}
		size := b.walSize()
		if size >= checkpointBytes {
			b.checkpoint(ctx, "PASSIVE")
		}
		if size >= truncateBytes || time.Since(truncated) >= truncateEvery {
			if b.truncate(ctx) {
				truncated, dirty = time.Now(), false
			}
		}
	}
}

func (b *Backend) truncate(ctx context.Context) bool {
	if b.takeTurn(ctx) != nil {
		return false
	}
	defer func() { <-b.turn }()
	return b.checkpoint(ctx, "TRUNCATE")
}

// checkpoint reports whether everything in the WAL has been moved. Its
// connection does not wait: an open reader makes it fail, and it is tried again.
func (b *Backend) checkpoint(ctx context.Context, mode string) bool {
	var result struct {
		Busy         int `db:"busy"`
		Log          int `db:"log"`
		Checkpointed int `db:"checkpointed"`
	}
	if err := b.checkpoints.GetContext(ctx, &result, "PRAGMA wal_checkpoint("+mode+")"); err != nil {
		if ctx.Err() == nil {
			b.log.Debug("checkpoint", "mode", mode, "error", err)
		}
		return false
	}
	return result.Busy == 0
}

// emptyWAL is the last checkpoint. A read whose context ended may need a moment
// more to let go of its snapshot; past that the next start finds the WAL, which
// loses nothing.
func (b *Backend) emptyWAL() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for !b.checkpoint(ctx, "TRUNCATE") {
		select {
		case <-ctx.Done():
			return
		case <-retry.C:
		}
	}
}

func (b *Backend) walSize() int64 {
	info, err := os.Stat(b.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}
