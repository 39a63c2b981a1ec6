package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// place is how far a reader has got, as a line of the file of `holdline tail --state` keeps it. The last whole line of the
// file counts.
type place struct {
	Account      string `json:"account"` // server and user
	Conversation string `json:"conversation,omitempty"`
	Cursor       string `json:"cursor"`
	// FromStart says where to go on as long as there is no cursor yet: at the beginning, but for Positions.
	FromStart bool `json:"from_start,omitempty"`
	// Positions are what was given beyond the cursor, which may stay the same over several events of an inbox.
	Positions map[string]int64 `json:"positions,omitempty"`

	path   string
	file   *os.File // to append to; nil before the first line
	size   int
	synced time.Time // when all of the file was on disk
}

// Between two syncs the file grows by lines, up to so many bytes.
const (
	syncEvery  = time.Second
	maxAppends = 1 << 20
)

// loadPlace reads the file; a place without a cursor if there is none. fromStart is where a reader without one begins.
func loadPlace(path, account, conversation string, fromStart bool) (*place, error) {
	p := &place{Account: account, Conversation: conversation, FromStart: fromStart, path: path}
	if path == "" {
		return p, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	kept, ok := lastPlace(data)
	if !ok {
		return nil, fmt.Errorf("%s is empty or damaged and holds no place. Remove it to begin with what comes from now on, or to begin "+
			"with the first event by --from-start", path)
	}
	if kept.Account != account || kept.Conversation != conversation {
		return nil, fmt.Errorf("%s is the place of another reader (%s, conversation %q)", path, kept.Account, kept.Conversation)
	}
	kept.path = path
	kept.FromStart = fromStart || kept.Cursor == ""
	return kept, nil
}

// lastPlace is the last whole line. A power cut may have spoilt those behind it, which were not synced.
func lastPlace(data []byte) (*place, bool) {
	lines := bytes.Split(data, []byte{'\n'})
	for i := len(lines) - 1; i >= 0; i-- {
		var p place
		if json.Unmarshal(lines[i], &p) == nil && (p.Cursor != "" || p.FromStart) {
			return &p, true
		}
	}
	return nil, false
}

// reach notes what has been dealt with. What is below a new cursor need not be kept beside it.
func (p *place) reach(conversation string, seq int64, cursor string) {
	if cursor != p.Cursor {
		p.Cursor, p.Positions = cursor, nil
		return
	}
	if conversation == "" || p.Conversation != "" {
		return
	}
	if p.Positions == nil {
		p.Positions = map[string]int64{}
	}
	p.Positions[conversation] = max(p.Positions[conversation], seq)
}

// save keeps the place. Killing the program loses nothing of it. Syncing each line would hold a full log up, so the file is
// replaced durably once a second, and in between it grows by lines that a power cut may take or spoil, never the first.
func (p *place) save(now time.Time) error {
	if p.path == "" || p.Cursor == "" && !p.FromStart {
		return nil
	}
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if p.file != nil && p.size+len(line) <= maxAppends && now.Sub(p.synced) < syncEvery {
		n, err := p.file.Write(line)
		p.size += n
		return err
	}
	if err := p.close(); err != nil {
		return err
	}
	if err := writeFile(p.path, line); err != nil {
		return err
	}
	p.synced, p.size = now, len(line)
	p.file, err = os.OpenFile(p.path, os.O_APPEND|os.O_WRONLY, 0)
	return err
}

// close closes the file; the next save opens it again.
func (p *place) close() error {
	if p.file == nil {
		return nil
	}
	f := p.file
	p.file = nil
	return f.Close()
}
