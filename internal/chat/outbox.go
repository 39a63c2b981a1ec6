package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Entry is a message on its way to the server.
type Entry struct {
	ClientID     string    `json:"client_id"`
	Conversation string    `json:"conversation"`
	Text         string    `json:"text"`
	TypedAt      time.Time `json:"typed_at"`

	earlier bool // of an earlier run, which may have sent it
}

// Outbox keeps messages in a file until the server has answered for them. The file is a log of JSON lines; each is
// synced before the call that wrote it returns. It may be used from any goroutine.
type Outbox struct {
	mu      sync.Mutex
	file    *os.File
	size    int64
	entries []Entry
	added   chan struct{}
}

// record is a line of the file.
type record struct {
	Add  *Entry `json:"add,omitempty"`
	Done string `json:"done,omitempty"`
}

// OpenOutbox opens the outbox in a file, which is made if missing. What a crash left of a line that was being written
// is dropped: the call that wrote it had not returned.
func OpenOutbox(path string) (*Outbox, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	o := &Outbox{file: f, added: make(chan struct{}, 1)}
	if err := errors.Join(o.load(), syncFolder(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("the outbox %s: %w", path, errors.Join(err, f.Close()))
	}
	return o, nil
}

func (o *Outbox) load() error {
	data, err := io.ReadAll(o.file)
	if err != nil {
		return err
	}
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		if !whole {
			break
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if r.Add != nil {
			r.Add.earlier = true
			o.entries = append(o.entries, *r.Add)
		}
		o.remove(r.Done)
		o.size += int64(len(line)) + 1
		data = rest
	}
	if len(o.entries) == 0 {
		o.size = 0
	}
	return o.cut()
}

func (o *Outbox) remove(id string) {
	o.entries = slices.DeleteFunc(o.entries, func(e Entry) bool { return e.ClientID == id })
}

// cut makes the file as long as size says.
func (o *Outbox) cut() error {
	if err := o.file.Truncate(o.size); err != nil {
		return err
	}
	return o.file.Sync()
}

func (o *Outbox) write(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	n, err := o.file.WriteAt(append(line, '\n'), o.size)
	if err == nil {
		err = o.file.Sync()
	}
	if err != nil {
		return errors.Join(err, o.cut()) // half a line must not stand before the next one
	}
	o.size += int64(n)
	return nil
}

// Add puts a message at the end. It is on disk when Add returns without an error, and not there otherwise.
func (o *Outbox) Add(e Entry) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.write(record{Add: &e}); err != nil {
		return err
	}
	o.entries = append(o.entries, e)
	select {
	case o.added <- struct{}{}:
	default:
	}
	return nil
}

// Done removes a message that was answered for. An empty outbox keeps no text of what was sent.
func (o *Outbox) Done(id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(id)
	if len(o.entries) == 0 {
		o.size = 0
		return o.cut()
	}
	return o.write(record{Done: id})
}

// Entries are the messages that wait, in order.
func (o *Outbox) Entries() []Entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.entries)
}

// first is the message to send next.
func (o *Outbox) first() (Entry, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.entries) == 0 {
		return Entry{}, false
	}
	return o.entries[0], true
}

// Close closes the file.
func (o *Outbox) Close() error { return o.file.Close() }
