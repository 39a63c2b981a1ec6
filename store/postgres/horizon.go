package postgres

import (
	"context"

	"holdline/internal/planted"
	"holdline/store"
)

// horizonKey is the advisory lock of horizon h: the low 32 bits hold h, the
// high ones "HOLD", to stay clear of other users of the database. One key per
// h, never reused (2^32 horizons at four a second last 34 years, and then the
// carry into the high bits still gives fresh keys).
const horizonKey = 0x484F4C44 << 32

type horizonRow struct {
	H      int64 `db:"h"`
	Closed int64 `db:"closed"`
}

// Stamp implements store.Backend: read h, try its shared lock, read h again in
// a later statement; refused or moved on means again. Nothing here waits. A
// retry's old lock stays until the transaction ends and only delays closing.
func (b *Backend) Stamp(tx *store.Tx) (int64, error) {
	for {
		var before, after int64
		if err := tx.Get(&before, `SELECT h FROM horizon WHERE id = 1`); err != nil {
			return 0, err
		}
		var locked bool
		if err := tx.Get(&locked, `SELECT pg_try_advisory_xact_lock_shared(?::bigint)`, horizonKey+before); err != nil {
			return 0, err
		}
		if !locked {
			continue
		}
		if err := tx.Get(&after, `SELECT h FROM horizon WHERE id = 1`); err != nil {
			return 0, err
		}
		if before == after {
			if planted.On(planted.HorizonClosedEarly) {
				planted.Linger()
			}
			return after, nil
		}
	}
}

// Horizon implements store.Backend. It also renews the guess of the next batch.
func (b *Backend) Horizon(ctx context.Context) (h, closed int64, err error) {
	var row horizonRow
	if err = b.reads.GetContext(ctx, &row, `SELECT h, closed FROM horizon WHERE id = 1`); err == nil {
		b.horizon.Store(row.H)
	}
	return row.H, row.Closed, classify(err)
}

// CloseHorizon implements store.Backend. While a stamp is above closed it
// moves h on by compare-and-set, then closes every k below the h it read, in
// order: taking k's exclusive lock waits for the writers that stamped k, and
// closed moves only from k-1 to k.
func (b *Backend) CloseHorizon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var now struct {
		horizonRow
		Newest int64 `db:"newest"`
	}
	if err := b.reads.GetContext(ctx, &now, `SELECT h, closed, GREATEST(
			(SELECT COALESCE(MAX(stamp), 0) FROM events),
			(SELECT COALESCE(MAX(stamp), 0) FROM watermarks),
			(SELECT COALESCE(MAX(stamp), 0) FROM revocations)) AS newest
		FROM horizon WHERE id = 1`); err != nil {
		return classify(err)
	}
	if now.Newest <= now.Closed {
		return nil
	}
	if now.Newest >= now.H {
		if err := b.step(ctx, `UPDATE horizon SET h = h + 1 WHERE id = 1 AND h = ?`, now.H); err != nil {
			return err
		}
	}
	h, closed, err := b.Horizon(ctx)
	if err != nil {
		return err
	}
	for k := closed + 1; k < h; k++ {
		// A transaction of its own: the next one must see what the lock waited for.
		if !planted.On(planted.HorizonClosedEarly) {
			if err := b.step(ctx, `SELECT pg_advisory_xact_lock(?::bigint)`, horizonKey+k); err != nil {
				return err
			}
		}
		if err := b.step(ctx, `UPDATE horizon SET closed = ? WHERE id = 1 AND closed = ?`, k, k-1); err != nil {
			return err
		}
	}
	return nil
}

// step writes by one statement.
func (b *Backend) step(ctx context.Context, query string, args ...any) error {
	return b.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}, func() {})
}
