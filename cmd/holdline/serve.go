package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"holdline/api"
	"holdline/poller"
	"holdline/store"
	"holdline/store/sqlite"
)

type serveCmd struct {
	databaseFlags
	httpFlags
	accountFlags
	deliveryFlags
	limitFlags
	logFlags

	DrainTimeout time.Duration `setting:"" group:"process" default:"20s" min:"0s" max:"10m" help:"How long a stop (SIGTERM, Ctrl-C) waits for answers under way before it cuts them. A second signal cuts at once."`
	AccessLog    bool          `setting:"" group:"process" help:"Log every request at level info; without this they are logged at level debug, and failures always."`
}

// Run serves until a signal, or until the listener fails.
func (s *serveCmd) Run(ctx context.Context, c *console) error {
	log := s.logger(c)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	server, err := s.start(ctx, log, listener.Addr())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go collectWhenIdle(ctx)
	failed := make(chan error, 2)
	go func() { failed <- server.http.Serve(listener) }()
	go func() { failed <- server.http.Serve(server.returns) }()

	if err = s.announce(c.out, listener.Addr()); err == nil {
		select {
		case sig := <-signals:
			log.Info("stopping", "signal", sig.String(), "drain_timeout", s.DrainTimeout)
		case err = <-failed:
			err = fmt.Errorf("serving at %s: %w", listener.Addr(), err)
		}
	}
	if stopErr := server.stop(s.DrainTimeout, signals); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	log.Info("stopped")
	return err
}

// listen takes the port first, so that a second server fails before it touches the database.
func (s *serveCmd) listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen at %s: another program does already; stop it, or choose another port with --listen", s.Listen)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen at %s: ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); choose a higher one with --listen", s.Listen)
	case err != nil:
		return nil, usagef("cannot listen at %s: %w", s.Listen, err)
	}
	return listener, nil
}

// running is what serve has started, in the order in which it is stopped.
type running struct {
	log     *slog.Logger
	api     *api.Server
	http    *http.Server
	returns *api.Returns
	poller  *poller.Poller
	hints   *poller.PostgresHints // nil without
	store   *store.Store
	unlock  func()
}

// start opens the database and puts store, poller and api upon it. On an error
// nothing is left open.
func (s *serveCmd) start(ctx context.Context, log *slog.Logger, address net.Addr) (r *running, err error) {
	r = &running{log: log, unlock: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop(0, nil))
		}
	}()
	if path, ok := s.sqlitePath(); ok {
		release, err := sqlite.Lock(path)
		if errors.Is(err, fs.ErrNotExist) {
			return r, fmt.Errorf("the folder of the database file %s does not exist; create it first", path)
		}
		if err != nil {
			return r, err
		}
		r.unlock = release
	}
	opened, err := s.open(ctx, log, false)
	if err != nil {
		return r, err
	}
	var b store.Backend = opened
	if s.observe != nil {
		b = s.observe(b)
	}
	if r.hints, err = s.hints(log); err != nil {
		return r, errors.Join(err, b.Close())
	}
	r.poller = poller.New(s.pollerOptions(log, r.hints))
	options := s.storeOptions(log)
	options.Feed, options.FeedMoved = r.poller.Feed, r.poller.FeedMoved
	if r.store, err = store.New(ctx, b, options); err != nil {
		return r, errors.Join(err, b.Close())
	}
	if err = r.poller.Start(ctx, r.store); err != nil {
		return r, err
	}
	config := s.apiConfig(log, address)
	config.Store, config.Poller = r.store, r.poller
	if r.api, err = api.New(config); err != nil {
		return r, err
	}
	r.http, r.returns = s.httpServer(r.api.Handler(), log), config.Returns
	return r, nil
}

// stop drains for at most timeout, or until a second signal, then cuts what is
// left. What was accepted is stored in any case.
func (r *running) stop(timeout time.Duration, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	go func() {
		select {
		case sig := <-signals:
			r.log.Warn("cutting what is under way", "signal", sig.String())
			cancel()
		case <-ctx.Done():
		}
	}()
	var errs []error
	if r.http != nil {
		// Readiness goes first, so that a load balancer looks elsewhere while
		// this listener still answers; then polls and streams, then the rest.
		drained := r.api.Close(ctx)
		if err := r.http.Shutdown(ctx); err != nil {
			drained = errors.Join(drained, err, r.http.Close())
		}
		if drained != nil {
			r.log.Warn("some clients were cut off in the middle", "reason", drained)
		}
	}
	if r.poller != nil {
		// Nothing reads any more, so this is a matter of milliseconds.
		ctx, cancel := context.WithTimeout(context.Background(), lastStep)
		defer cancel()
		errs = append(errs, r.poller.Close(ctx))
	}
	if r.hints != nil {
		errs = append(errs, r.hints.Close())
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	r.unlock()
	return errors.Join(errs...)
}

// lastStep bounds what has no reason to take long.
const lastStep = 10 * time.Second
