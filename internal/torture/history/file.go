package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files of a saved History, each one JSON value a line.
const (
	runFile           = "run.json"
	usersFile         = "users.jsonl"
	conversationsFile = "conversations.jsonl"
	logFile           = "log.jsonl"
	operationsFile    = "operations.jsonl"
	readersFile       = "readers.jsonl"
	stepsFile         = "steps.jsonl"
)

// readerStep is a line of stepsFile.
type readerStep struct {
	Reader string `json:"reader"`
	Step
}

// Save writes the history into the directory dir, which is made if missing;
// files of an earlier Save are replaced.
func (h *History) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return errors.Join(
		writeLines(dir, runFile, func(put func(any)) { put(h.Run) }),
		writeLines(dir, usersFile, func(put func(any)) {
			for i := range h.Users {
				put(&h.Users[i])
			}
		}),
		writeLines(dir, conversationsFile, func(put func(any)) {
			for i := range h.Conversations {
				put(&h.Conversations[i])
			}
		}),
		writeLines(dir, logFile, func(put func(any)) {
			for i := range h.Conversations {
				c := &h.Conversations[i]
				for _, e := range c.Log {
					e.Conversation = c.ID
					put(e)
				}
			}
		}),
		writeLines(dir, operationsFile, func(put func(any)) {
			for i := range h.Operations {
				put(&h.Operations[i])
			}
		}),
		writeLines(dir, readersFile, func(put func(any)) {
			for i := range h.Readers {
				put(&h.Readers[i])
			}
		}),
		writeLines(dir, stepsFile, func(put func(any)) {
			for i := range h.Readers {
				for _, s := range h.Readers[i].Steps {
					put(readerStep{h.Readers[i].ID, s})
				}
			}
		}),
	)
}

func writeLines(dir, name string, produce func(put func(any))) error {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	produce(func(v any) {
		if err == nil {
			err = encoder.Encode(v)
		}
	})
	return errors.Join(err, w.Flush(), f.Close())
}

// Load reads what Save wrote into dir. The events of a log get their
// Conversation set. Fields that are not known are an error, since a verdict on
// half of what was recorded would be worth nothing.
func Load(dir string) (*History, error) {
	h := &History{}
	conversations := make(map[string]int)
	readers := make(map[string]int)
	err := errors.Join(
		readLines(dir, runFile, func(r Run) error { h.Run = r; return nil }),
		readLines(dir, usersFile, func(u User) error { h.Users = append(h.Users, u); return nil }),
		readLines(dir, conversationsFile, func(c Conversation) error {
			conversations[c.ID] = len(h.Conversations)
			h.Conversations = append(h.Conversations, c)
			return nil
		}),
		readLines(dir, operationsFile, func(o Operation) error { h.Operations = append(h.Operations, o); return nil }),
		readLines(dir, readersFile, func(r Reader) error {
			readers[r.ID] = len(h.Readers)
			h.Readers = append(h.Readers, r)
			return nil
		}),
	)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		readLines(dir, logFile, func(e Event) error {
			i, ok := conversations[e.Conversation]
			if !ok {
				return fmt.Errorf("conversation %q is not in %s", e.Conversation, conversationsFile)
			}
			h.Conversations[i].Log = append(h.Conversations[i].Log, e)
			return nil
		}),
		readLines(dir, stepsFile, func(s readerStep) error {
			i, ok := readers[s.Reader]
			if !ok {
				return fmt.Errorf("reader %q is not in %s", s.Reader, readersFile)
			}
			h.Readers[i].Steps = append(h.Readers[i].Steps, s.Step)
			return nil
		}),
	)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func readLines[T any](dir, name string, take func(T) error) error {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	for line := 1; ; line++ {
		var v T
		err := decoder.Decode(&v)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(v)
		}
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", name, line, err)
		}
	}
}
