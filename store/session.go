package store

import "context"

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

// CreateSession starts a session whose secret hashes (SHA-256) to secretHash.
// CodeUnauthorized if the user is disabled.
func (s *Store) CreateSession(ctx context.Context, user ID, secretHash []byte, deviceName string) (Session, error) {
	panic("h4")
}

// SessionBySecret finds a live session of an enabled user. CodeUnauthorized
// when there is none.
func (s *Store) SessionBySecret(ctx context.Context, user ID, secretHash []byte) (Session, User, error) {
	panic("h4")
}

// SessionByID finds a live session of an enabled user. CodeUnauthorized when there is none.
func (s *Store) SessionByID(ctx context.Context, user, session ID) (Session, User, error) {
	panic("h4")
}

// Sessions lists a user's live sessions, newest first.
func (s *Store) Sessions(ctx context.Context, user ID) ([]Session, error) { panic("h4") }

// EndSession ends one live session and records the revocation. CodeNotFound.
func (s *Store) EndSession(ctx context.Context, user, session ID) error { panic("h4") }

// EndSessions ends all live sessions of a user and returns how many there were.
func (s *Store) EndSessions(ctx context.Context, user ID) (int64, error) { panic("h4") }

// TouchSession moves last_seen_at to today, if it is older.
func (s *Store) TouchSession(ctx context.Context, user, session ID) error { panic("h4") }
