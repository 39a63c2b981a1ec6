package store

import (
	"context"
	"time"
)

// keepHorizon moves the horizon on while an event's stamp is not closed yet
// (design: "The inbox cursor", rules 1 and 3). Any node may do it; several at
// once do no harm.
func (s *Store) keepHorizon(ctx context.Context) {
	tick := time.NewTicker(s.options.HorizonInterval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.backend.CloseHorizon(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Warn("moving the horizon failed; sends go on, sweeps look further back until it works again", "error", err)
		}
		failing = err != nil
	}
}

// Changes returns every conversation with events, and every revocation, whose
// stamp is above since, whichever node wrote them. A negative since asks only
// where the horizon stands. It also notices when the database cluster was
// replaced, and renews the epoch then.
func (s *Store) Changes(ctx context.Context, since int64) (Changes, error) {
	if err := s.checkIdentity(ctx); err != nil {
		return Changes{}, err
	}
	var c Changes
	err := s.backend.Read(ctx, func(tx *Tx) error {
		if err := tx.Get(&c.Closed, `SELECT closed FROM horizon WHERE id = 1`); err != nil {
			return err
		}
		if err := tx.Get(&c.Epoch, `SELECT value FROM meta WHERE key = ?`, metaEpoch); err != nil {
			return err
		}
		if since < 0 {
			return nil
		}
		if err := tx.Select(&c.Heads, changedHeads, since); err != nil {
			return err
		}
		return tx.Select(&c.Revocations, `SELECT user_id, session_id, stamp FROM revocations WHERE stamp > ?`, since)
	})
	if err == nil && c.Epoch != s.Epoch() {
		s.epoch.Store(&c.Epoch)
	}
	return c, err
}

// changedHeads groups by an expression, so that no planner prefers the key
// that has conversations in order and spans all history to the index of stamps.
const changedHeads = `SELECT +conversation_id AS conversation_id, MAX(seq) AS last_seq FROM events
	WHERE stamp > ? GROUP BY +conversation_id`
