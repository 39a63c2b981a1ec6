package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// world is the scratch server and who lives on it.
type world struct {
	o       *Options
	scratch *scratch
	users   []account
	text    string // of every message
}

// account is a user who is signed in.
type account struct {
	handle, token string
}

// setUpAtOnce bounds the requests that setting up has in flight.
const setUpAtOnce = 16

// settle makes the database and the users.
func (w *world) settle(ctx context.Context) error {
	const sentence = "The quick brown fox jumps over the lazy dog, and nobody minds. "
	w.text = strings.Repeat(sentence, w.o.TextBytes/len(sentence)+1)[:w.o.TextBytes]
	w.users = make([]account, w.o.Users)
	return w.alone(ctx, "setup", func(server *child) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(2) // hashing a password takes a core and much memory
		for i := range w.users {
			g.Go(func() error {
				handle := fmt.Sprintf("bench-%03d", i)
				in := map[string]string{"handle": handle, "password": "scratch database " + handle}
				var out struct{ Token string }
				err := call(ctx, server.addr, "POST", "/v1/users", "", in, &out)
				w.users[i] = account{handle: handle, token: out.Token}
				return err
			})
		}
		return g.Wait()
	})
}

// groups makes n group conversations that hold every user.
func (w *world) groups(ctx context.Context, n int) ([]string, error) {
	handles := make([]string, len(w.users))
	for i, u := range w.users {
		handles[i] = u.handle
	}
	all := make([]group, n)
	for i := range all {
		all[i] = group{creator: w.users[i%len(w.users)], members: handles}
	}
	return w.makeGroups(ctx, all)
}

// group is a conversation to be made.
type group struct {
	creator account
	members []string // handles, the creator's among them or not
}

// makeGroups makes conversations and returns their ids.
func (w *world) makeGroups(ctx context.Context, groups []group) ([]string, error) {
	ids := make([]string, len(groups))
	err := w.alone(ctx, "setup", func(server *child) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(setUpAtOnce)
		for i, one := range groups {
			g.Go(func() error {
				in := map[string]any{"kind": "group", "members": one.members, "title": fmt.Sprintf("Group %d", i)}
				var out struct{ ID string }
				err := call(ctx, server.addr, "POST", "/v1/conversations", one.creator.token, in, &out)
				if err == nil && len(out.ID) != idChars {
					err = fmt.Errorf("a conversation's id is %q, not %d characters", out.ID, idChars)
				}
				ids[i] = out.ID
				return err
			})
		}
		return g.Wait()
	})
	return ids, err
}

// messagesIn counts the messages that the conversations hold, by their heads:
// everything above seq 1 (created) is one.
func (w *world) messagesIn(ctx context.Context, addr string, conversations []string) (int64, error) {
	var sum atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(setUpAtOnce)
	for _, id := range conversations {
		g.Go(func() error {
			var out struct {
				LastSeq int64 `json:"last_seq"`
			}
			err := call(ctx, addr, "GET", "/v1/conversations/"+id, w.users[0].token, nil, &out)
			sum.Add(out.LastSeq - 1)
			return err
		})
	}
	err := g.Wait()
	return sum.Load(), err
}

// alone runs fn beside a server of its own on the scratch database.
func (w *world) alone(ctx context.Context, name string, fn func(server *child) error) error {
	return w.serving(ctx, w.serveArgs(name), fn)
}

func (w *world) serving(ctx context.Context, args []string, fn func(server *child) error) (err error) {
	server, err := startChild(ctx, "holdline serve", w.o.Program, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	return fn(server)
}

// beside is alone with the bare handler running as well.
func (w *world) beside(ctx context.Context, name string, fn func(bare, server *child) error) (err error) {
	bare, err := startChild(ctx, "bare handler", w.o.Program, "bench", "bare")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	return w.alone(ctx, name, func(server *child) error { return fn(bare, server) })
}

func (w *world) serveArgs(name string) []string {
	args := []string{"serve"}
	if w.o.Profile != "" && name != "setup" {
		args = []string{"bench", "serve", "--cpu-profile", filepath.Join(w.o.Profile, name+".pprof")}
	}
	return append(args, w.serveFlags()...)
}

func (w *world) serveFlags() []string {
	return []string{"--listen", "127.0.0.1:0", "--database", w.scratch.url, "--max-waiting-per-user", "1000000",
		"--max-signups-per-address", "1000000"}
}

// call makes one API call with JSON in and out. Every status but 2xx is an error.
func call(ctx context.Context, addr, method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, body)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %s: %s", method, path, res.Status, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// streamRequest asks for a conversation's events after a seq, for as long as they come.
func streamRequest(addr, conversation, token string, after int64) []byte {
	return fmt.Appendf(nil, "GET /v1/conversations/%s/stream?after=%d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Accept: text/event-stream\r\n\r\n", conversation, after, addr, token)
}
