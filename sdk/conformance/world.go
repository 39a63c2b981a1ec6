package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"holdline/internal/subprocess"
	"holdline/internal/torture"
	"holdline/internal/torture/netfault"
	holdline "holdline/sdk/go"
)

// Options say how a World is made.
type Options struct {
	// Program is the path of the holdline program.
	Program string
	// Server are further arguments of serve.
	Server []string
	// Folder is where database and clock lie; it must exist, and be the World's own.
	Folder string
}

// The people. Ann is the one whose SDK is tried; bob made the conversations and talks.
const (
	Ann = "ann"
	Bob = "bob"
)

// Conversations are the names of the two groups that ann and bob share.
var Conversations = []string{"room", "side"}

const password = "correct horse battery"

// World is a server and what stands before it. One goroutine at a time uses it.
type World struct {
	o       Options
	process *process
	clock   *torture.Clock
	front   *front
	proxy   *netfault.Proxy
	http    *http.Client // directly to the server

	people map[string]*person
	ids    map[string]string // conversations by name
	said   int

	cutting sync.WaitGroup
	cuts    atomic.Int64
	stop    chan struct{} // closed by Close
}

type person struct {
	*holdline.Client

	id, token string
}

// NewWorld starts a server on a fresh SQLite file, with ann and bob and their conversations.
func NewWorld(ctx context.Context, o Options) (*World, error) {
	w := &World{o: o, http: &http.Client{Transport: &http.Transport{}}, people: map[string]*person{}, ids: map[string]string{}, stop: make(chan struct{})}
	if err := w.open(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *World) open(ctx context.Context) error {
	address, err := subprocess.FreeAddress(ctx)
	if err != nil {
		return err
	}
	clock := filepath.Join(w.o.Folder, "clock")
	if w.clock, err = torture.OpenClock(clock); err != nil {
		return err
	}
	w.process = &process{program: w.o.Program, address: address, args: append([]string{
		"torture", "serve", "--clock", clock, "--listen", address, "--database", "sqlite:" + w.database(), "--signup", "open", "--drain-timeout", "2s",
		// The server notices that a stream was cut at its next heartbeat; a sweep cuts hundreds before that.
		"--max-waiting-per-user", "10000",
	}, w.o.Server...)}
	if err := w.process.start(ctx); err != nil {
		return err
	}
	if w.front, err = newFront(address); err != nil {
		return err
	}
	if w.proxy, err = netfault.New(w.front.addr); err != nil {
		return err
	}
	for _, name := range []string{Ann, Bob} {
		if w.people[name], err = w.signUp(ctx, name); err != nil {
			return err
		}
	}
	for _, name := range Conversations {
		got, err := w.people[Bob].CreateConversationWithResponse(ctx, holdline.NewConversation{
			Kind: holdline.NewConversationKindGroup, Members: []string{Ann}, Title: name,
		})
		if err != nil {
			return err
		}
		if got.JSON201 == nil {
			return fmt.Errorf("create %s: %s", name, got.Body)
		}
		w.ids[name] = got.JSON201.Id
	}
	return nil
}

func (w *World) database() string { return filepath.Join(w.o.Folder, "holdline.db") }

func (w *World) direct() string { return "http://" + w.process.address }

// URL is the server's address through all that misbehaves.
func (w *World) URL() string { return "http://" + w.proxy.Addr() }

// Token is ann's.
func (w *World) Token() string { return w.people[Ann].token }

// ID is a conversation's.
func (w *World) ID(name string) string { return w.ids[name] }

func (w *World) signUp(ctx context.Context, name string) (*person, error) {
	nobody, err := holdline.New(w.direct(), holdline.Options{HTTP: w.http})
	if err != nil {
		return nil, err
	}
	got, err := nobody.CreateUserWithResponse(ctx, holdline.NewUser{Handle: name, Password: password})
	if err != nil {
		return nil, err
	}
	if got.JSON201 == nil {
		return nil, fmt.Errorf("sign up %s: %s", name, got.Body)
	}
	client, err := holdline.New(w.direct(), holdline.Options{Token: got.JSON201.Token, HTTP: w.http})
	return &person{Client: client, id: got.JSON201.User.Id, token: got.JSON201.Token}, err
}

// Close ends everything. The error says, among others, if the server's log has a panic or a race.
func (w *World) Close() error {
	close(w.stop)
	w.cutting.Wait()
	var errs []error
	if w.proxy != nil {
		errs = append(errs, w.proxy.Close())
	}
	if w.front != nil {
		errs = append(errs, w.front.close())
	}
	if w.process != nil {
		errs = append(errs, w.process.end(syscall.SIGKILL))
	}
	if w.clock != nil {
		errs = append(errs, w.clock.Close(), os.Remove(filepath.Join(w.o.Folder, "clock")))
	}
	w.http.CloseIdleConnections()
	return errors.Join(errs...)
}
