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
	identity, err := s.backend.Identity(ctx)
	if err != nil {
		return Changes{}, err
	}
	c, known, err := s.readChanges(ctx, since)
	if err == nil && known != identity {
		s.log.Warn("the database cluster has changed: renewing the epoch, all cursors will be reset", "was", known, "is", identity)
		if err = s.backend.Write(ctx, func(tx *Tx) error { return renewEpoch(tx, identity) }, func() {}); err == nil {
			c, _, err = s.readChanges(ctx, since)
		}
	}
	if err == nil && c.Epoch != s.Epoch() {
		s.epoch.Store(&c.Epoch)
	}
	return c, err
}

// readChanges is what Changes returns, and the identity that the database was
// last written under, from one snapshot.
func (s *Store) readChanges(ctx context.Context, since int64) (c Changes, identity string, err error) {
	err = s.backend.Read(ctx, func(tx *Tx) (err error) {
		if identity, err = readMeta(tx, metaIdentity); err != nil {
			return err
		}
		if c.Epoch, err = readMeta(tx, metaEpoch); err != nil {
			return err
		}
		if err := tx.Get(&c.Closed, `SELECT closed FROM horizon WHERE id = 1`); err != nil || since < 0 {
			return err
		}
		if err := tx.Select(&c.Heads, changedHeads, since); err != nil {
			return err
		}
		return tx.Select(&c.Revocations, `SELECT user_id, session_id, stamp FROM revocations WHERE stamp > ?`, since)
	})
	return c, identity, err
}

// changedHeads groups by an expression, so that no planner prefers the key
// that has conversations in order and spans all history to the index of stamps.
const changedHeads = `SELECT +conversation_id AS conversation_id, MAX(seq) AS last_seq FROM events
	WHERE stamp > ? GROUP BY +conversation_id`
