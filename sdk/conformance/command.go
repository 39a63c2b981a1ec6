package conformance

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // the database whose epoch restore renews

	holdline "holdline/sdk/go"
)

// Command is one thing for a World to do. README.md lists them.
type Command struct {
	Do           string `json:"do" yaml:"do"`
	Conversation string `json:"conversation,omitempty" yaml:"conversation"` // room if empty
	Text         string `json:"text,omitempty" yaml:"text"`
	Count        int    `json:"count,omitempty" yaml:"count"`
	Bytes        int    `json:"bytes,omitempty" yaml:"bytes"`
	Fill         string `json:"fill,omitempty" yaml:"fill"` // one byte; x if empty
	Kind         string `json:"kind,omitempty" yaml:"kind"`
	From         int    `json:"from,omitempty" yaml:"from"`
	To           int    `json:"to,omitempty" yaml:"to"`
	Step         int    `json:"step,omitempty" yaml:"step"`
	MS           int    `json:"ms,omitempty" yaml:"ms"`
}

// Entry is one event of the server's log.
type Entry struct {
	Seq      int64  `json:"seq"`
	Type     string `json:"type"`
	SenderID string `json:"sender_id"`
	Text     string `json:"text,omitempty"`
	Action   string `json:"action,omitempty"`
}

// Result is what a command answers; which fields are there depends on it.
type Result struct {
	URL           string             `json:"url,omitempty"`
	Token         string             `json:"token,omitempty"`
	Conversations map[string]string  `json:"conversations,omitempty"` // ids by name
	Logs          map[string][]Entry `json:"logs,omitempty"`          // by id
	Heads         map[string]int64   `json:"heads,omitempty"`         // last seqs by id
	Delivered     map[string]int64   `json:"delivered,omitempty"`     // ann's watermarks by id
	Struck        int                `json:"struck,omitempty"`        // connections and requests that a fault has met
}

// Do carries a command out.
func (w *World) Do(ctx context.Context, c Command) (r Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id := w.ids[c.Conversation]
	if c.Conversation == "" {
		id = w.ids[Conversations[0]]
	}
	if id == "" {
		return r, fmt.Errorf("there is no conversation %q", c.Conversation)
	}
	switch c.Do {
	case "world":
		return Result{URL: w.URL(), Token: w.Token(), Conversations: w.ids}, nil
	case "say":
		return r, w.say(ctx, id, c)
	case "fault":
		return r, w.fault(c)
	case "struck":
		return Result{Struck: w.struck()}, nil
	case "kill":
		return r, w.again(ctx, syscall.SIGKILL, func() error { return nil })
	case "stop":
		return r, w.again(ctx, syscall.SIGTERM, func() error { return nil })
	case "backup":
		return r, w.again(ctx, syscall.SIGTERM, w.backup)
	case "restore":
		return r, w.again(ctx, syscall.SIGTERM, func() error { return w.restore(ctx) })
	case "remove":
		return r, wanted(200)(w.people[Bob].RemoveMemberWithResponse(ctx, id, w.people[Ann].id))
	case "add":
		return r, wanted(201)(w.people[Bob].AddMembersWithResponse(ctx, id, holdline.NewMembers{Members: []string{Ann}}))
	case "end_session":
		return r, wanted(204)(w.people[Ann].EndSessionWithResponse(ctx, "current"))
	case "server_clock":
		w.clock.Set(time.Duration(c.MS) * time.Millisecond)
		return r, nil
	case "pass":
		select {
		case <-time.After(time.Duration(c.MS) * time.Millisecond):
		case <-ctx.Done():
		}
		return r, ctx.Err()
	case "logs":
		return w.logs(ctx)
	case "heads":
		return w.heads(ctx)
	default:
		return r, fmt.Errorf("there is no command %q", c.Do)
	}
}

// answered is what all generated answers have.
type answered interface{ StatusCode() int }

// wanted makes any status but one an error.
func wanted(status int) func(answered, error) error {
	return func(a answered, err error) error {
		if err == nil && a.StatusCode() != status {
			err = fmt.Errorf("status %d instead of %d", a.StatusCode(), status)
		}
		return err
	}
}

// saying is how many messages bob has on their way at once.
const saying = 16

// say has bob say something, Count times (1 if absent), each of at least Bytes bytes.
func (w *World) say(ctx context.Context, id string, c Command) error {
	fill := c.Fill
	if fill == "" {
		fill = "x"
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(saying)
	for range max(1, c.Count) {
		w.said++
		text := c.Text
		if text == "" {
			text = fmt.Sprintf("message %d, ünïcode\r\n\ndata: of two lines ", w.said)
		}
		text += strings.Repeat(fill, max(0, c.Bytes-len(text)))
		group.Go(func() error {
			_, err := w.people[Bob].Send(ctx, id, text, holdline.SendOptions{})
			return err
		})
	}
	return group.Wait()
}

// again ends the server by a signal, does something to its database, and starts it again.
func (w *World) again(ctx context.Context, s syscall.Signal, between func() error) error {
	if err := w.process.end(s); err != nil {
		return err
	}
	w.http.CloseIdleConnections()
	if err := between(); err != nil {
		return err
	}
	return w.process.start(ctx)
}

// sqliteFiles are the endings of what a SQLite database is made of; a server that was stopped leaves the first alone.
var sqliteFiles = []string{"", "-wal", "-shm"}

func (w *World) backup() error {
	for _, ending := range sqliteFiles[1:] {
		if info, err := os.Stat(w.database() + ending); err == nil && info.Size() > 0 {
			return fmt.Errorf("the server has left %s", info.Name())
		}
	}
	b, err := os.ReadFile(w.database())
	if err != nil {
		return err
	}
	return os.WriteFile(w.database()+".backup", b, 0o600) //nolint:gosec // in the World's own folder
}

// restore brings the backup back, which begins another epoch: what was said since is gone.
func (w *World) restore(ctx context.Context) (err error) {
	b, err := os.ReadFile(w.database() + ".backup")
	if err != nil {
		return err
	}
	for _, ending := range sqliteFiles {
		if err := os.Remove(w.database() + ending); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.WriteFile(w.database(), b, 0o600); err != nil { //nolint:gosec // in the World's own folder
		return err
	}
	db, err := sql.Open("sqlite", w.database())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `UPDATE meta SET value = ? WHERE key = 'epoch'`, rand.Text()[:6])
	return err
}

// logs are what the server holds of each conversation.
func (w *World) logs(ctx context.Context) (Result, error) {
	r := Result{Logs: map[string][]Entry{}}
	for _, id := range w.ids {
		limit := 1000
		params := &holdline.ListEventsParams{Limit: &limit}
		for {
			got, err := w.people[Bob].ListEventsWithResponse(ctx, id, params)
			if err != nil {
				return r, err
			}
			if got.JSON200 == nil {
				return r, fmt.Errorf("the log: %s", got.Body)
			}
			for i := range got.JSON200.Events {
				e := &got.JSON200.Events[i]
				r.Logs[id] = append(r.Logs[id], Entry{Seq: e.Seq, Type: e.Type, SenderID: e.SenderId, Text: e.Text, Action: e.Action})
			}
			if params.After = &got.JSON200.Cursor; !got.JSON200.More {
				break
			}
		}
	}
	return r, nil
}

func (w *World) heads(ctx context.Context) (Result, error) {
	r := Result{Heads: map[string]int64{}, Delivered: map[string]int64{}}
	for _, id := range w.ids {
		got, err := w.people[Bob].GetConversationWithResponse(ctx, id)
		if err != nil {
			return r, err
		}
		if got.JSON200 == nil {
			return r, fmt.Errorf("the conversation: %s", got.Body)
		}
		r.Heads[id] = got.JSON200.LastSeq
		if own, err := w.people[Ann].GetConversationWithResponse(ctx, id); err == nil && own.JSON200 != nil {
			r.Delivered[id] = own.JSON200.DeliveredSeq
		}
	}
	return r, nil
}
