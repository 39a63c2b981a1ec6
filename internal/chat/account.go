package chat

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Account is one user on one server, with a folder for the files that the client keeps.
type Account struct {
	Folder string // of all accounts, as DefaultFolder
	Server string // as Address makes it
	Handle string
}

// Session is what signing in brought.
type Session struct {
	Server string `json:"server"`
	Handle string `json:"handle"`
	UserID string `json:"user_id"`
	Token  string `json:"token"`
}

// DefaultFolder is `holdline` in the user's folder for configuration ($XDG_CONFIG_HOME, or ~/.config).
func DefaultFolder() (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder to keep sessions in: %w", err)
	}
	return filepath.Join(base, "holdline"), nil
}

// Address brings a server's address into the one form that files are found by.
func Address(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("the server's address must be like https://chat.example.org, not %q", server)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// Exposed reports whether what is sent to the server can be read on its way: plain HTTP that leaves this machine.
func Exposed(server string) bool {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

const sessionEnding = ".session"

func serverFolder(folder, server string) string { return filepath.Join(folder, url.PathEscape(server)) }

// path is a file of the account's own. The ending keeps handles like `..` from being folders.
func (a Account) path(ending string) string {
	return filepath.Join(serverFolder(a.Folder, a.Server), a.Handle+ending)
}

func (a Account) makeFolder() error { return os.MkdirAll(serverFolder(a.Folder, a.Server), 0o700) }

// Load reads the stored session; os.ErrNotExist if there is none.
func (a Account) Load() (Session, error) {
	var s Session
	data, err := os.ReadFile(a.path(sessionEnding))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil || s.Token == "" || s.UserID == "" {
		return s, fmt.Errorf("%s is not a session; remove it and sign in again", a.path(sessionEnding))
	}
	return s, nil
}

// Store keeps the session for the next time, for this user's eyes alone.
func (a Account) Store(s Session) error {
	if err := a.makeFolder(); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFile(a.path(sessionEnding), append(data, '\n'))
}

// Forget removes the stored session. What waits in the outbox stays for the next one.
func (a Account) Forget() error {
	err := os.Remove(a.path(sessionEnding))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Stored lists the handles that have a session on a server, by name.
func Stored(folder, server string) ([]string, error) {
	entries, err := os.ReadDir(serverFolder(folder, server))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var handles []string
	for _, e := range entries {
		if handle, ok := strings.CutSuffix(e.Name(), sessionEnding); ok && !e.IsDir() {
			handles = append(handles, handle)
		}
	}
	return handles, err
}

var handleForm = regexp.MustCompile(`^[a-z0-9_.-]{2,32}$`)

// ValidHandle reports whether a handle has the form of one, and so can be part of a file's name.
func ValidHandle(handle string) bool { return handleForm.MatchString(handle) }

// AccountName tells the users of all servers apart, by the public part of a token (hl_USER_SECRET), or, where it has
// another form, by a hash of it.
func AccountName(server, token string) string {
	if parts := strings.SplitN(token, "_", 3); len(parts) == 3 {
		return server + " " + parts[1]
	}
	return fmt.Sprintf("%s %x", server, sha256.Sum256([]byte(token)))
}
