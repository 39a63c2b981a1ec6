package store

import (
	"context"
	"crypto/sha256"
	"time"
)

// Session is one sign-in of a user, on one device.
type Session struct {
	ID         ID     `db:"session_id"`
	UserID     ID     `db:"user_id"`
	DeviceName string `db:"device_name"`
	CreatedAt  Millis `db:"created_at"`
	LastSeenAt Millis `db:"last_seen_at"` // to the day
	EndedAt    Millis `db:"ended_at"`
}

// Revocation says that a session has ended; SessionID 0: all sessions of the user.
type Revocation struct {
	UserID    ID    `db:"user_id"`
	SessionID ID    `db:"session_id"`
	Stamp     int64 `db:"stamp"`
}

const day = Millis(24 * time.Hour / time.Millisecond)

// today is the start of now's day in UTC, the precision of last_seen_at.
func (s *Store) today() Millis { return s.now() / day * day }

// LiveSession is the condition under which a session counts, in SQL on sessions
// AS s and users AS u. Backends check their batches by it.
const LiveSession = `s.ended_at = 0 AND u.disabled_at = 0 AND u.deleted_at = 0`

var errNoSuchSession = Errorf(CodeNotFound, "no such session")

// CreateSession starts a session whose secret hashes (SHA-256) to secretHash.
// CodeUnauthorized if the user is disabled or does not exist, CodeInvalid.
func (s *Store) CreateSession(ctx context.Context, user ID, secretHash []byte, deviceName string) (Session, error) {
	return s.startSession(ctx, user, nil, secretHash, deviceName)
}

// SignIn is CreateSession for a caller who has proved the password that
// hashes to passwordHash (see Credentials). Proving takes a while: if the
// password has been replaced meanwhile, which ended all sessions, it is
// CodeUnauthorized.
func (s *Store) SignIn(ctx context.Context, user ID, passwordHash string, secretHash []byte, deviceName string) (Session, error) {
	return s.startSession(ctx, user, &passwordHash, secretHash, deviceName)
}

func (s *Store) startSession(ctx context.Context, user ID, passwordHash *string, secretHash []byte, deviceName string) (Session, error) {
	if len(secretHash) != sha256.Size {
		return Session{}, Errorf(CodeInternal, "a session's secret hash has %d bytes, not %d", len(secretHash), sha256.Size)
	}
	if err := validateLine("device_name", deviceName, MaxDeviceNameChars); err != nil {
		return Session{}, err
	}
	var session Session
	err := s.write(ctx, func(tx *Tx) ([]Event, error) {
		session = Session{UserID: user, DeviceName: deviceName, CreatedAt: s.now(), LastSeenAt: s.today()}
		if err := s.lockUser(tx, user); err != nil {
			return nil, err
		}
		// The lock came first: an account disabled just now is seen here, one
		// disabled later ends this session too. A new password likewise.
		var current string
		err := tx.Get(&current, `SELECT COALESCE(password_hash, '') FROM users
			WHERE user_id = ? AND disabled_at = 0 AND deleted_at = 0`, user)
		if err != nil {
			return nil, noRowsIs(err, Errorf(CodeUnauthorized, "this account is disabled"))
		}
		if passwordHash != nil && current != *passwordHash {
			return nil, Errorf(CodeUnauthorized, "the password was changed just now; sign in with the new one")
		}
		session.ID, err = insertWithNewID(func(id ID) (int64, error) {
			return tx.Exec(`INSERT INTO sessions (user_id, session_id, secret_hash, device_name, scopes, created_at, last_seen_at)
				VALUES (?, ?, ?, ?, '', ?, ?) ON CONFLICT (user_id, session_id) DO NOTHING`,
				user, id, secretHash, deviceName, session.CreatedAt, session.LastSeenAt)
		})
		return nil, err
	})
	if err != nil {
		return Session{}, err
	}
	return session, nil
}

// SessionBySecret finds a live session of an enabled user. CodeUnauthorized
// when there is none.
func (s *Store) SessionBySecret(ctx context.Context, user ID, secretHash []byte) (Session, User, error) {
	return s.findSession(ctx, `s.secret_hash = ?`, user, secretHash)
}

// SessionByID finds a live session of an enabled user. CodeUnauthorized when there is none.
func (s *Store) SessionByID(ctx context.Context, user, session ID) (Session, User, error) {
	return s.findSession(ctx, `s.session_id = ?`, user, session)
}

func (s *Store) findSession(ctx context.Context, condition string, user ID, key any) (Session, User, error) {
	var row struct {
		Session Session `db:"session"`
		User    User    `db:"user"`
	}
	err := s.backend.Read(ctx, func(tx *Tx) error {
		return tx.Get(&row, `SELECT s.session_id AS "session.session_id", s.user_id AS "session.user_id",
				s.device_name AS "session.device_name", s.created_at AS "session.created_at",
				s.last_seen_at AS "session.last_seen_at", s.ended_at AS "session.ended_at",
				u.user_id AS "user.user_id", u.handle AS "user.handle", u.display_name AS "user.display_name",
				u.role AS "user.role", u.created_at AS "user.created_at", u.disabled_at AS "user.disabled_at", u.read_receipts AS "user.read_receipts"
			FROM sessions s JOIN users u ON u.user_id = s.user_id
			WHERE s.user_id = ? AND `+condition+` AND `+LiveSession, user, key)
	})
	return row.Session, row.User, noRowsIs(err, errNoSession)
}

// Sessions lists a user's live sessions, newest first, those behind the session
// `after` (0: all), which may have ended, at most limit.
func (s *Store) Sessions(ctx context.Context, user, after ID, limit int) ([]Session, error) {
	query := `SELECT session_id, user_id, device_name, created_at, last_seen_at, ended_at
		FROM sessions WHERE user_id = ? AND ended_at = 0`
	args := []any{user}
	if after != 0 {
		// Nothing lies behind a session that never was: the comparison is NULL.
		query += ` AND (created_at, session_id) < (SELECT a.created_at, a.session_id FROM sessions a WHERE a.user_id = ? AND a.session_id = ?)`
		args = append(args, user, after)
	}
	query += ` ORDER BY created_at DESC, session_id DESC LIMIT ?`
	var sessions []Session
	err := s.backend.Read(ctx, func(tx *Tx) error {
		sessions = nil
		return tx.Select(&sessions, query, append(args, limit)...)
	})
	return sessions, err
}

// EndSession ends one live session and records the revocation. CodeNotFound.
func (s *Store) EndSession(ctx context.Context, user, session ID) error {
	return s.write(ctx, func(tx *Tx) ([]Event, error) {
		ended, err := tx.Exec(`UPDATE sessions SET ended_at = ? WHERE user_id = ? AND session_id = ? AND ended_at = 0`,
			s.now(), user, session)
		if err != nil {
			return nil, err
		}
		if ended == 0 {
			return nil, errNoSuchSession
		}
		return nil, s.revoke(tx, user, session)
	})
}

// EndSessions ends all live sessions of a user and returns how many there were.
func (s *Store) EndSessions(ctx context.Context, user ID) (int64, error) {
	var ended int64
	err := s.write(ctx, func(tx *Tx) ([]Event, error) {
		err := s.lockUser(tx, user)
		if err != nil {
			return nil, err
		}
		ended, err = s.endAllSessions(tx, user)
		return nil, err
	})
	return ended, err
}

// endAllSessions needs the user's row locked, so that no session is started
// meanwhile. It takes the transaction's stamp: nothing that can wait may follow.
func (s *Store) endAllSessions(tx *Tx, user ID) (int64, error) {
	ended, err := tx.Exec(`UPDATE sessions SET ended_at = ? WHERE user_id = ? AND ended_at = 0`, s.now(), user)
	if err != nil || ended == 0 {
		return 0, err
	}
	return ended, s.revoke(tx, user, 0)
}

// revoke records what other nodes' sweeps are to find. Under one stamp a
// second revocation of the same thing adds nothing; it cannot be waiting
// either, since both hold the lock of the session or the user.
func (s *Store) revoke(tx *Tx, user, session ID) error {
	stamp, err := s.backend.Stamp(tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO revocations (user_id, session_id, stamp) VALUES (?, ?, ?)
		ON CONFLICT (user_id, session_id, stamp) DO NOTHING`, user, session, stamp)
	return err
}

// lockUser locks the user's row until the transaction ends, if there is one.
func (s *Store) lockUser(tx *Tx, user ID) error {
	var id ID
	return noRowsIs(tx.Get(&id, `SELECT user_id FROM users WHERE user_id = ?`+s.backend.ForUpdate(), user), nil)
}

// TouchSession moves last_seen_at to today, if it is older. It writes at most
// once a day and session.
func (s *Store) TouchSession(ctx context.Context, user, session ID) error {
	var stale int
	today := s.today()
	err := s.backend.Read(ctx, func(tx *Tx) error {
		return tx.Get(&stale, `SELECT COUNT(*) FROM sessions
			WHERE user_id = ? AND session_id = ? AND ended_at = 0 AND last_seen_at < ?`, user, session, today)
	})
	if err != nil || stale == 0 {
		return err
	}
	return s.write(ctx, func(tx *Tx) ([]Event, error) {
		_, err := tx.Exec(`UPDATE sessions SET last_seen_at = ?
			WHERE user_id = ? AND session_id = ? AND ended_at = 0 AND last_seen_at < ?`, today, user, session, today)
		return nil, err
	})
}

// checkActor makes sure, inside a writing transaction and after its locks,
// that the caller's session is live and their account enabled.
func checkActor(tx *Tx, a Actor) error {
	var live int
	err := tx.Get(&live, `SELECT COUNT(*) FROM sessions s JOIN users u ON u.user_id = s.user_id
		WHERE s.user_id = ? AND s.session_id = ? AND `+LiveSession, a.UserID, a.SessionID)
	if err == nil && live == 0 {
		err = errNoSession
	}
	return err
}
