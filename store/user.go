package store

import "context"

// User is an account.
type User struct {
	ID          ID     `db:"user_id"`
	Handle      string `db:"handle"`
	DisplayName string `db:"display_name"`
	Role        string `db:"role"` // RoleOwner or RoleUser
	CreatedAt   Millis `db:"created_at"`
	DisabledAt  Millis `db:"disabled_at"` // 0: enabled
}

// Server roles.
const (
	RoleOwner = "owner"
	RoleUser  = "user"
)

// NewUser is what CreateUser needs.
type NewUser struct {
	Handle       string // [a-z0-9_.-]{2,32}
	DisplayName  string
	PasswordHash string // encoded argon2id; empty: cannot sign in by password
	Role         string
}

// CreateUser stores a new account. CodeHandleTaken, CodeInvalid.
func (s *Store) CreateUser(ctx context.Context, u NewUser) (User, error) { panic("h4") }

// UserByHandle finds an account, disabled or not. CodeNotFound.
func (s *Store) UserByHandle(ctx context.Context, handle string) (User, error) { panic("h4") }

// UserByID finds an account, disabled or not. CodeNotFound.
func (s *Store) UserByID(ctx context.Context, id ID) (User, error) { panic("h4") }

// Users lists accounts by handle, those after the handle `after`, at most limit.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]User, error) { panic("h4") }

// Credentials returns an account and its encoded password hash (empty: none). CodeNotFound.
func (s *Store) Credentials(ctx context.Context, handle string) (User, string, error) { panic("h4") }

// SetPassword replaces the password hash and ends all sessions of the user. CodeNotFound.
func (s *Store) SetPassword(ctx context.Context, id ID, hash string) error { panic("h4") }

// DisableUser locks an account: no sign-in, all sessions end, sends are refused. CodeNotFound.
func (s *Store) DisableUser(ctx context.Context, id ID) error { panic("h4") }
