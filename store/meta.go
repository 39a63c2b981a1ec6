package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// Keys of the meta table.
const (
	metaEpoch    = "epoch"
	metaMACKey   = "mac_key"
	metaIdentity = "identity"
)

const epochLength = 6

// newEpoch returns a fresh epoch: 6 characters of an id, 35 random bits.
func newEpoch() string { return NewID().String()[idLength-epochLength:] }

// loadMeta reads the database's epoch and MAC key, making both with a new
// database, and renews the epoch when the cluster behind the database is no
// longer the one that wrote it.
func (s *Store) loadMeta(ctx context.Context) error {
	identity, err := s.backend.Identity(ctx)
	if err != nil {
		return fmt.Errorf("reading the database's identity: %w", err)
	}
	err = s.backend.Write(ctx, func(tx *Tx) error {
		var key [32]byte
		_, _ = rand.Read(key[:])
		for name, value := range map[string]string{
			metaEpoch: newEpoch(), metaMACKey: hex.EncodeToString(key[:]), metaIdentity: identity,
		} {
			if _, err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING`, name, value); err != nil {
				return err
			}
		}
		return renewEpoch(tx, identity)
	}, func() {})
	if err != nil {
		return fmt.Errorf("preparing the database: %w", err)
	}
	return s.backend.Read(ctx, func(tx *Tx) error {
		epoch, err := readMeta(tx, metaEpoch)
		if err != nil {
			return err
		}
		key, err := readMeta(tx, metaMACKey)
		if err != nil {
			return err
		}
		if s.macKey, err = hex.DecodeString(key); err != nil {
			return fmt.Errorf("meta %s: %w", metaMACKey, err)
		}
		s.epoch.Store(&epoch)
		return nil
	})
}

// renewEpoch gives the database a new epoch if the identity it was last
// written under is another one: after a fail-over or a restore an acknowledged
// event may be missing, so old cursors must not be trusted.
func renewEpoch(tx *Tx, identity string) error {
	changed, err := tx.Exec(`UPDATE meta SET value = ? WHERE key = ? AND value <> ?`, identity, metaIdentity, identity)
	if err != nil || changed == 0 {
		return err
	}
	_, err = tx.Exec(`UPDATE meta SET value = ? WHERE key = ?`, newEpoch(), metaEpoch)
	return err
}

// readMeta reads one entry of the meta table.
func readMeta(tx *Tx, key string) (value string, err error) {
	err = tx.Get(&value, `SELECT value FROM meta WHERE key = ?`, key)
	return value, err
}
