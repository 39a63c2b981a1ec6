package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"holdline/internal/harness"
	"holdline/sdk/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A runner in another language gets the table, a World, and what it does; and nothing is left over when its end of standard input closes.
func TestControl(t *testing.T) {
	stdin, leave := io.Pipe()
	stdout, printed := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(harness.Plain(t), stdin, printed) }()
	var hello struct{ Control string }
	if err := json.NewDecoder(stdout).Decode(&hello); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	call := func(status int, method, path, body string, v any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, hello.Control+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != status {
			t.Fatalf("%s %s: status %d", path, body, resp.StatusCode)
		}
		if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
			t.Fatal(err)
		}
	}
	var situations []conformance.Situation
	call(200, http.MethodGet, "/table", "", &situations)
	if len(situations) < 20 {
		t.Errorf("%d situations", len(situations))
	}
	var problem struct{ Error string }
	call(500, http.MethodPost, "/do", `{"do":"say"}`, &problem) // in no World
	if problem.Error == "" {
		t.Error("an error without words")
	}
	for range 2 { // the second in place of the first
		var world, r conformance.Result
		call(200, http.MethodPost, "/world", `{"server":["--heartbeat=1s"]}`, &world)
		call(200, http.MethodPost, "/do", `{"do":"say","conversation":"side","count":2}`, &r)
		call(200, http.MethodPost, "/do", `{"do":"heads"}`, &r)
		if r.Heads[world.Conversations["side"]] != 3 || r.Heads[world.Conversations["room"]] != 1 || !strings.HasPrefix(world.Token, "hl_") {
			t.Errorf("%+v, %+v", world, r)
		}
	}
	for _, wrong := range []string{`{"do":"nothing"}`, `{"do":"fault","kind":"rain"}`, `{"do":"say","conversation":"attic"}`, `{"do":"say","color":1}`} {
		call(500, http.MethodPost, "/do", wrong, &problem)
	}
	client.CloseIdleConnections()
	if err := leave.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
