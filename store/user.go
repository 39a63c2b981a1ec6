package store

import (
	"context"
	"database/sql"
	"errors"
)

// User is an account.
type User struct {
	ID          ID     `db:"user_id"`
	Handle      string `db:"handle"`
	DisplayName string `db:"display_name"`
	Role        string `db:"role"` // RoleOwner or RoleUser
	CreatedAt   Millis `db:"created_at"`
	DisabledAt  Millis `db:"disabled_at"` // 0: enabled
	// ReadReceipts: others are told what this user has read.
	ReadReceipts bool `db:"read_receipts"`
}

// userColumns is what every read of accounts selects, from users AS u.
const userColumns = `u.user_id, u.handle, u.display_name, u.role, u.created_at, u.disabled_at, u.read_receipts`

// Server roles.
const (
	RoleOwner = "owner"
	RoleUser  = "user"
)

// NewUser is what CreateUser needs.
type NewUser struct {
	Handle       string // [a-z0-9_.-]{2,32}
	DisplayName  string // at most MaxDisplayNameChars, no control characters; may be empty
	PasswordHash string // encoded argon2id; empty: cannot sign in by password
	Role         string // empty: RoleUser
}

var (
	errNoUser  = Errorf(CodeNotFound, "no such user")
	errNoNewID = Errorf(CodeInternal, "no free id was found")
)

// CreateUser stores a new account. CodeHandleTaken, CodeInvalid.
func (s *Store) CreateUser(ctx context.Context, u NewUser) (User, error) {
	if u.Role == "" {
		u.Role = RoleUser
	}
	if err := u.validate(); err != nil {
		return User{}, err
	}
	var created User
	err := s.write(ctx, func(tx *Tx) ([]Event, error) {
		created = User{Handle: u.Handle, DisplayName: u.DisplayName, Role: u.Role, CreatedAt: s.now(), ReadReceipts: true}
		password := sql.NullString{String: u.PasswordHash, Valid: u.PasswordHash != ""}
		var err error
		created.ID, err = insertWithNewID(func(id ID) (int64, error) {
			return tx.Exec(`INSERT INTO users (user_id, handle, display_name, password_hash, role, created_at)
				VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id) DO NOTHING`,
				id, created.Handle, created.DisplayName, password, created.Role, created.CreatedAt)
		})
		if err != nil {
			return nil, err
		}
		// Two sign-ups for one handle meet here, and one of them finds no row inserted.
		inserted, err := tx.Exec(`INSERT INTO handles (handle, user_id) VALUES (?, ?)
			ON CONFLICT (handle) DO NOTHING`, created.Handle, created.ID)
		if err == nil && inserted == 0 {
			err = &Error{Code: CodeHandleTaken, Field: "handle", Message: "this handle is taken; choose another"}
		}
		return nil, err
	})
	if err != nil {
		return User{}, err
	}
	return created, nil
}

func (u *NewUser) validate() error {
	switch {
	case !ValidHandle(u.Handle):
		return invalid("handle", "must be 2 to 32 of the characters a-z, 0-9, _, . and -")
	case u.Role != RoleOwner && u.Role != RoleUser:
		return invalid("role", "must be owner or user")
	}
	return validateLine("display_name", u.DisplayName, MaxDisplayNameChars)
}

// insertWithNewID calls insert with fresh ids until it has inserted a row
// (`ON CONFLICT DO NOTHING` counts none where the id exists), and returns the
// id it used. Two collisions of 63 random bits in a row are a broken generator.
func insertWithNewID(insert func(id ID) (int64, error)) (ID, error) {
	for range 3 {
		id := NewID()
		inserted, err := insert(id)
		if err != nil {
			return 0, err
		}
		if inserted == 1 {
			return id, nil
		}
	}
	return 0, errNoNewID
}

// UserByHandle finds an account, disabled or not. CodeNotFound.
func (s *Store) UserByHandle(ctx context.Context, handle string) (User, error) {
	if !ValidHandle(handle) {
		return User{}, errNoUser
	}
	var u User
	err := s.backend.Read(ctx, func(tx *Tx) error {
		return tx.Get(&u, `SELECT `+userColumns+` FROM handles h JOIN users u ON u.user_id = h.user_id
			WHERE h.handle = ?`, handle)
	})
	return u, noRowsIs(err, errNoUser)
}

// UserByID finds an account, disabled or not. CodeNotFound.
func (s *Store) UserByID(ctx context.Context, id ID) (User, error) {
	var u User
	err := s.backend.Read(ctx, func(tx *Tx) error {
		return tx.Get(&u, `SELECT `+userColumns+` FROM users u WHERE u.user_id = ?`, id)
	})
	return u, noRowsIs(err, errNoUser)
}

// Users lists accounts by handle, those after the handle `after`, at most limit.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]User, error) {
	if after != "" && !ValidHandle(after) {
		return nil, invalid("after", "must be a handle")
	}
	var users []User
	err := s.backend.Read(ctx, func(tx *Tx) error {
		users = nil
		return tx.Select(&users, `SELECT `+userColumns+` FROM handles h JOIN users u ON u.user_id = h.user_id
			WHERE h.handle > ? ORDER BY h.handle LIMIT ?`, after, limit)
	})
	return users, err
}

// Credentials returns an account and its encoded password hash (empty: none). CodeNotFound.
func (s *Store) Credentials(ctx context.Context, handle string) (User, string, error) {
	if !ValidHandle(handle) {
		return User{}, "", errNoUser
	}
	var row struct {
		User
		PasswordHash string `db:"password_hash"`
	}
	err := s.backend.Read(ctx, func(tx *Tx) error {
		return tx.Get(&row, `SELECT `+userColumns+`, COALESCE(u.password_hash, '') AS password_hash
			FROM handles h JOIN users u ON u.user_id = h.user_id WHERE h.handle = ?`, handle)
	})
	return row.User, row.PasswordHash, noRowsIs(err, errNoUser)
}

// SetPassword replaces the password hash (empty: no sign-in by password) and
// ends all sessions of the user. CodeNotFound.
func (s *Store) SetPassword(ctx context.Context, id ID, hash string) error {
	return s.changeUser(ctx, id, `password_hash = ?`, sql.NullString{String: hash, Valid: hash != ""})
}

// DisableUser locks an account: no sign-in, all sessions end, sends are
// refused. Disabling twice changes nothing. CodeNotFound.
func (s *Store) DisableUser(ctx context.Context, id ID) error {
	return s.changeUser(ctx, id, `disabled_at = CASE WHEN disabled_at = 0 THEN ? ELSE disabled_at END`, s.now())
}

// EnableUser opens a disabled account again. The sessions that disabling ended
// stay ended. Enabling what is enabled changes nothing. CodeNotFound.
func (s *Store) EnableUser(ctx context.Context, id ID) error {
	return s.write(ctx, func(tx *Tx) ([]Event, error) {
		changed, err := tx.Exec(`UPDATE users SET disabled_at = 0 WHERE user_id = ?`, id)
		if err == nil && changed == 0 {
			err = errNoUser
		}
		return nil, err
	})
}

// changeUser changes an account and ends all its sessions; the update locks the row.
func (s *Store) changeUser(ctx context.Context, id ID, set string, value any) error {
	return s.write(ctx, func(tx *Tx) ([]Event, error) {
		changed, err := tx.Exec(`UPDATE users SET `+set+` WHERE user_id = ?`, value, id)
		if err != nil {
			return nil, err
		}
		if changed == 0 {
			return nil, errNoUser
		}
		_, err = s.endAllSessions(tx, id)
		return nil, err
	})
}

// noRowsIs turns sql.ErrNoRows into the error that it means here.
func noRowsIs(err, meaning error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return meaning
	}
	return err
}

// SetReadReceipts turns on or off that others are told what the actor has
// read. CodeUnauthorized.
func (s *Store) SetReadReceipts(ctx context.Context, a Actor, on bool) (User, error) {
	var u User
	err := s.write(ctx, func(tx *Tx) ([]Event, error) {
		if err := checkActor(tx, a); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`UPDATE users SET read_receipts = ? WHERE user_id = ?`, on, a.UserID); err != nil {
			return nil, err
		}
		return nil, tx.Get(&u, `SELECT `+userColumns+` FROM users u WHERE u.user_id = ?`, a.UserID)
	})
	return u, err
}
