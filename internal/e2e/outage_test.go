package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/internal/testdb"
)

// PostgreSQL goes away while 16 clients send, once in order and once as in a
// crash, and comes back. Meanwhile everything is 503 with Retry-After, streams
// live on, and the server recovers by itself without having lost anything.
func TestTheDatabaseGoesAndComesBack(t *testing.T) {
	for name, stop := range map[string]func(*testdb.Postmaster){
		"stopped": (*testdb.Postmaster).Stop,
		"crashed": (*testdb.Postmaster).Immediate,
	} {
		t.Run(name, func(t *testing.T) {
			database := testdb.Cluster(t)
			s := harness.Start(t, harness.Config{Database: database.URL("postgres"), Args: []string{"--sweep=100ms", "--heartbeat=500ms"}})
			ann, bob := s.SignUp("ann"), s.SignUp("bob")
			conversation := ann.Group("bob")
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			stream, err := bob.At(s).Stream(ctx, conversation, "")
			if err != nil {
				t.Fatal(err)
			}
			senders := startSenders(ctx, ann, conversation, 16)
			senders.waitFor(t, 200)

			stop(database)
			checkUnavailable(t, s, ann, conversation)
			senders.waitFor(t, 50) // all of which is refused
			database.Start()
			harness.Eventually(t, "the server is ready again", func() bool { return status(t, s.Client(), "/readyz") == http.StatusOK })
			senders.waitFor(t, 200)
			senders.stop(t)
			if senders.problems["unavailable"] == 0 {
				t.Errorf("nobody was told that the database is gone: %v", senders.problems)
			}
			senders.repeat(t, ann, conversation)
			log := ann.AllEvents(conversation)
			checkLog(t, log, senders.accepted)

			// The stream of before has lived through it.
			for next := int64(1); next <= int64(len(log)); {
				f, ok, err := stream.Next()
				if !ok {
					t.Fatalf("the stream ended before event %d: %v", next, err)
				}
				if f.ID == "" {
					continue
				}
				if seq := seqOf(t, f.ID); seq != next {
					t.Fatalf("the stream goes on with event %d instead of %d", seq, next)
				}
				next++
			}
			stream.Close()
		})
	}
}

// checkUnavailable looks at what each kind of call answers without a database.
func checkUnavailable(t *testing.T, s *harness.Server, c *harness.Client, conversation string) {
	t.Helper()
	harness.Eventually(t, "readiness is withdrawn", func() bool { return status(t, s.Client(), "/readyz") == http.StatusServiceUnavailable })
	if got := status(t, s.Client(), "/healthz"); got != http.StatusOK {
		t.Errorf("healthz: %d; a server is not restarted for want of its database", got)
	}
	for _, call := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/v1/conversations", nil},
		{http.MethodGet, "/v1/conversations/" + conversation + "/messages", nil},
		{http.MethodPost, "/v1/conversations/" + conversation + "/messages", map[string]string{"client_id": "outage", "text": "?"}},
		{http.MethodPost, "/v1/sessions", map[string]string{"handle": "ann", "password": harness.Password}},
		{http.MethodPost, "/v1/acks", map[string]any{"read": map[string]int{conversation: 1}}},
	} {
		a, err := c.Call(t.Context(), call.method, call.path, call.body)
		if err != nil {
			t.Errorf("%s %s: %v", call.method, call.path, err)
			continue
		}
		if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || a.Problem().Code != "unavailable" {
			t.Errorf("%s %s: status %d, Retry-After %q: %s", call.method, call.path, a.Status, a.Header.Get("Retry-After"), a.Body)
		}
	}
}
