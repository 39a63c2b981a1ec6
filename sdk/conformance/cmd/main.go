// The program conformance makes a World for a runner that is not written in Go. It prints one line of JSON with the
// address of its control, {"control": "http://127.0.0.1:PORT"}, and ends when its standard input does, with the World.
//
//	GET  /table   the situations, as JSON
//	POST /world   {"server": ["--heartbeat=200ms"]}: a World, in place of the one before; answered as the command world
//	POST /do      a command, and its result
//
// A failure is a 500 whose body is {"error": "…"}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"holdline/sdk/conformance"
)

func main() {
	program := flag.String("program", "bin/holdline", "the holdline program to run")
	flag.Parse()
	if err := run(*program, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(program string, stdin io.Reader, stdout io.Writer) (err error) {
	if _, err := os.Stat(program); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lives as long as the program
	if err != nil {
		return err
	}
	c := &control{program: program}
	defer func() { err = errors.Join(err, c.end()) }()
	server := &http.Server{Handler: c.routes()} //nolint:gosec // loopback only
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := json.NewEncoder(stdout).Encode(map[string]string{"control": "http://" + listener.Addr().String()}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, stdin) // however it ends
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// control has one World at a time.
type control struct {
	program string

	mu     sync.Mutex
	world  *conformance.World
	folder string
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /table", func(w http.ResponseWriter, _ *http.Request) {
		table, err := conformance.Table()
		answer(w, table, err)
	})
	mux.HandleFunc("POST /world", func(w http.ResponseWriter, r *http.Request) {
		var options struct {
			Server []string `json:"server"`
		}
		if err := decode(r, &options); err != nil {
			answer(w, nil, err)
			return
		}
		result, err := c.renew(r.Context(), options.Server)
		answer(w, result, err)
	})
	mux.HandleFunc("POST /do", func(w http.ResponseWriter, r *http.Request) {
		var command conformance.Command
		if err := decode(r, &command); err != nil {
			answer(w, nil, err)
			return
		}
		result, err := c.do(r.Context(), command)
		answer(w, result, err)
	})
	return mux
}

func (c *control) do(ctx context.Context, command conformance.Command) (conformance.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.world == nil {
		return conformance.Result{}, errors.New("there is no world yet: POST /world")
	}
	return c.world.Do(ctx, command)
}

func (c *control) renew(ctx context.Context, server []string) (conformance.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.close(); err != nil {
		return conformance.Result{}, err
	}
	folder, err := os.MkdirTemp("", "holdline-conformance-*")
	if err != nil {
		return conformance.Result{}, err
	}
	c.folder = folder
	world, err := conformance.NewWorld(ctx, conformance.Options{Program: c.program, Server: server, Folder: folder})
	if err != nil {
		return conformance.Result{}, err
	}
	c.world = world
	return world.Do(ctx, conformance.Command{Do: "world"})
}

func (c *control) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.close()
}

func (c *control) close() (err error) {
	if c.world != nil {
		err = c.world.Close()
		c.world = nil
	}
	if c.folder != "" {
		err = errors.Join(err, os.RemoveAll(c.folder))
		c.folder = ""
	}
	return err
}

// decode reads a body, in which there must be nothing that is not known.
func decode(r *http.Request, v any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(v)
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		v = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v) // the runner may have gone
}
