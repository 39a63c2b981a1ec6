package sqlite

import (
	"context"
	"time"
)

const (
	checkpointTick  = 200 * time.Millisecond
	checkpointTurns = 64               // writes after which a checkpoint is worth its fsyncs,
	checkpointEvery = 5 * time.Second  // or this time after a write
	restartFrames   = 4096             // a WAL of this many pages, 16 MiB, is to begin anew
	truncateEvery   = 45 * time.Second // so that deleted text leaves the WAL within a minute
)

// keepCheckpoints moves WAL frames into the database file beside the writer,
// which therefore never pays for it. A passive checkpoint disturbs nobody, but
// a WAL that is written all the time never begins anew by itself: once it is
// long the writer is held for the moment that takes, some ten milliseconds.
// Emptying the file takes longer, and is done only every truncateEvery.
func (b *Backend) keepCheckpoints(ctx context.Context) {
	tick := time.NewTicker(checkpointTick)
	defer tick.Stop()
	moved, emptied := time.Now(), time.Now()
	var movedTurns, emptiedTurns int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		turns := b.turns.Load()
		if turns != emptiedTurns && time.Since(emptied) >= truncateEvery {
			if result, ok := b.checkpointAlone(ctx, "TRUNCATE"); ok && result.Busy == 0 {
				moved, emptied, movedTurns, emptiedTurns = time.Now(), time.Now(), turns, turns
				continue
			}
		}
		if turns == movedTurns || (turns-movedTurns < checkpointTurns && time.Since(moved) < checkpointEvery) {
			continue
		}
		moved, movedTurns = time.Now(), turns
		if result, ok := b.checkpoint(ctx, "PASSIVE"); ok && result.Log >= restartFrames {
			b.checkpointAlone(ctx, "RESTART")
		}
	}
}

// checkpointAlone is a checkpoint with the writer held.
func (b *Backend) checkpointAlone(ctx context.Context, mode string) (checkpointResult, bool) {
	if b.takeTurn(ctx) != nil {
		return checkpointResult{}, false
	}
	defer func() { <-b.turn }()
	return b.checkpoint(ctx, mode)
}

// checkpointResult is what SQLite answers: frames in the WAL, and of those
// moved; busy is 1 when a reader kept it from finishing.
type checkpointResult struct {
	Busy         int `db:"busy"`
	Log          int `db:"log"`
	Checkpointed int `db:"checkpointed"`
}

// checkpoint runs one. Its connection does not wait: an open reader makes it
// stop early, and it is tried again.
func (b *Backend) checkpoint(ctx context.Context, mode string) (result checkpointResult, ok bool) {
	err := b.checkpoints.GetContext(ctx, &result, "PRAGMA wal_checkpoint("+mode+")")
	if err != nil && ctx.Err() == nil {
		b.log.Debug("checkpoint", "mode", mode, "error", err)
	}
	return result, err == nil
}

// emptyWAL is the last checkpoint. A read whose context ended may need a moment
// more to let go of its snapshot; past that the next start finds the WAL, which
// loses nothing.
func (b *Backend) emptyWAL() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		if result, ok := b.checkpoint(ctx, "TRUNCATE"); ok && result.Busy == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-retry.C:
		}
	}
}
