package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spool is a folder of letters that are not certain yet, for one account: a file each, named so that the oldest comes
// first. One process at a time may use it.
type Spool struct {
	folder  string
	account string // server and user, which all letters in it belong to
	lock    *os.File
}

const (
	letterEnding  = ".letter"
	refusedEnding = ".refused"
)

// spooled is what a file holds.
type spooled struct {
	Letter
	Account   string    `json:"account"`
	SpooledAt time.Time `json:"spooled_at"`
	Reason    string    `json:"reason,omitempty"` // why it was refused
}

// OpenSpool opens a folder, which is made if missing. account keeps letters of different users apart.
func OpenSpool(folder, account string) (*Spool, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(folder, "lock"), "another holdline send uses the spool "+folder)
	if err != nil {
		return nil, err
	}
	return &Spool{folder: folder, account: account, lock: lock}, nil
}

// Close lets others use the folder.
func (s *Spool) Close() error { return s.lock.Close() }

// Keep puts a letter at the end. It is on disk when Keep returns without an error.
func (s *Spool) Keep(l Letter) (name string, err error) {
	// The order is that of the names, whatever the clock does. A refused letter keeps its number.
	number := 0
	for _, ending := range []string{letterEnding, refusedEnding} {
		names, err := s.names(ending)
		if err != nil {
			return "", err
		}
		if len(names) == 0 {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(names[len(names)-1], ending))
		if err != nil {
			return "", fmt.Errorf("%s is no letter of this spool", names[len(names)-1])
		}
		number = max(number, n)
	}
	name = fmt.Sprintf("%012d%s", number+1, letterEnding)
	return name, s.write(name, spooled{Letter: l, Account: s.account, SpooledAt: time.Now()})
}

func (s *Spool) write(name string, content spooled) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(s.folder, name), append(data, '\n'))
}

// names are the files with an ending, the oldest first.
func (s *Spool) names(ending string) ([]string, error) {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ending) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Send sends what is there, in order. The first that stays unknown stops it, so that none overtakes. It returns what
// became of the letter in the file named last, and why; without a name, the worst that became of any. tell hears of the
// other letters' failures. A refused letter stays, under another ending, with the reason; so does one that will stay unknown.
func (s *Spool) Send(ctx context.Context, m *Mailer, last string, tell func(error)) (Outcome, error) {
	names, err := s.names(letterEnding)
	if err != nil {
		return Unknown, err
	}
	outcome := Accepted
	for _, name := range names {
		o, err := s.sendOne(ctx, m, name)
		var lost *lostError
		switch {
		case o == Unknown && !errors.As(err, &lost):
			return Unknown, errors.Join(err, s.tellBehind(m, name, last))
		case name == last:
			return o, err // which is the newest
		case err != nil:
			tell(err)
			outcome = max(outcome, o)
		}
	}
	return outcome, nil
}

// tellBehind prints that a letter waits behind another one that is not certain.
func (s *Spool) tellBehind(m *Mailer, stopped, name string) error {
	if name == "" || name == stopped {
		return nil
	}
	content, err := s.read(name)
	if err == nil {
		_, err = fmt.Fprintf(m.Out, "unknown %s\n", content.ClientID)
	}
	return err
}

func (s *Spool) read(name string) (content spooled, err error) {
	data, err := os.ReadFile(filepath.Join(s.folder, name))
	if err != nil {
		return content, err
	}
	if err := json.Unmarshal(data, &content); err != nil {
		return content, fmt.Errorf("%s: %w", filepath.Join(s.folder, name), err)
	}
	return content, nil
}

func (s *Spool) sendOne(ctx context.Context, m *Mailer, name string) (Outcome, error) {
	path := filepath.Join(s.folder, name)
	content, err := s.read(name)
	if err != nil {
		return Unknown, err
	}
	if content.Account != s.account {
		return Unknown, fmt.Errorf("%s is a letter of another account (%s); each needs a spool of its own", path, content.Account)
	}
	outcome, err := m.SendMarked(ctx, content.Letter, func() error {
		if content.Tried {
			return nil
		}
		content.Tried = true
		return s.write(name, content)
	})
	var lost *lostError
	switch {
	case outcome == Unknown && !errors.As(err, &lost):
		return outcome, err
	case outcome != Accepted:
		content.Reason = err.Error()
		kept := s.write(strings.TrimSuffix(name, letterEnding)+refusedEnding, content)
		if kept != nil {
			return outcome, errors.Join(err, kept)
		}
	}
	return outcome, errors.Join(err, os.Remove(path), syncFolder(s.folder))
}
