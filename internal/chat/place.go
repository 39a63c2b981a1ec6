package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// place is how far a reader has got, as the file of `holdline tail --state` keeps it.
type place struct {
	Account      string `json:"account"` // server and user
	Conversation string `json:"conversation,omitempty"`
	Cursor       string `json:"cursor"`
	// FromStart says where to go on as long as there is no cursor yet: at the beginning, but for Positions.
	FromStart bool `json:"from_start,omitempty"`
	// Positions are what was given beyond the cursor, which may stay the same over several events of an inbox.
	Positions map[string]int64 `json:"positions,omitempty"`

	path   string
	synced time.Time
}

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
	var kept place
	if err := json.Unmarshal(data, &kept); err != nil || kept.Cursor == "" && !kept.FromStart {
		return nil, fmt.Errorf("%s is not a place that was kept", path)
	}
	if kept.Account != account || kept.Conversation != conversation {
		return nil, fmt.Errorf("%s is the place of another reader (%s, conversation %q)", path, kept.Account, kept.Conversation)
	}
	kept.path = path
	kept.FromStart = fromStart || kept.Cursor == ""
	return &kept, nil
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

// save writes the file. Killing the program loses nothing of it; syncing each line would hold a full log up, so that
// is done once a second, and a power cut repeats the lines since.
func (p *place) save(now time.Time) error {
	if p.path == "" || p.Cursor == "" && !p.FromStart {
		return nil
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	const every = time.Second
	sync := now.Sub(p.synced) >= every
	if sync {
		p.synced = now
	}
	return replaceFile(p.path, append(data, '\n'), sync)
}
