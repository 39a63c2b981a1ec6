package holdline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"holdline/internal/harness"
	"holdline/sdk/conformance"
	holdline "holdline/sdk/go"
)

// patience bounds every wait for something that must happen soon.
const patience = time.Minute

// TestConformance runs the table that all SDKs share.
func TestConformance(t *testing.T) {
	t.Parallel()
	situations, err := conformance.Table()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range situations {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			newRunner(t, s).run()
		})
	}
}

// newWorld starts a server with ann, bob and their conversations.
func newWorld(t *testing.T, args ...string) *conformance.World {
	t.Helper()
	w, err := conformance.NewWorld(t.Context(), conformance.Options{Program: harness.Plain(t), Server: args, Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// newClient is ann's, through all that goes wrong.
func newClient(t *testing.T, url, token string) *holdline.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := holdline.New(url, holdline.Options{Token: token, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// quick makes an SDK come back soon enough for a test.
var quick = holdline.Pace{Min: time.Millisecond, Max: 3 * time.Millisecond, MaxHint: 3 * time.Millisecond}

// runner is one situation with its application.
type runner struct {
	t      *testing.T
	s      conformance.Situation
	world  *conformance.World
	client *holdline.Client
	app    *application
	held   bool // the application stands still
}

func newRunner(t *testing.T, s conformance.Situation) *runner {
	t.Helper()
	w := newWorld(t, s.Server...)
	return &runner{t: t, s: s, world: w, client: newClient(t, w.URL(), w.Token()), app: newApplication()}
}

func (r *runner) run() {
	r.t.Helper()
	r.t.Cleanup(func() {
		r.release()
		r.app.leave()
	})
	for i, step := range r.s.Steps {
		if err := r.step(step); err != nil {
			r.t.Fatalf("step %d (%s %s%s): %v\n%s", i+1, step.Do, step.Kind, step.Await, err, r.app)
		}
	}
	r.app.leave()
	r.check()
}

func (r *runner) release() {
	if r.held {
		r.held = false
		r.app.gate.Unlock()
	}
}

func (r *runner) step(s conformance.Step) error {
	switch s.Do {
	case "follow":
		r.app.follow(r.t.Context(), r.client, r.options())
	case "leave":
		r.app.leave()
	case "hold":
		r.app.gate.Lock()
		r.held = true
	case "release":
		r.release()
	case "await":
		return r.await(s)
	case "send":
		return r.send(s)
	case "client_clock":
		// A Go program's wall clock cannot be moved without the machine's. TestTheWallClockHasNoPart sees that the SDK
		// never looks at it.
	default:
		_, err := r.world.Do(r.t.Context(), s.Command)
		return err
	}
	return nil
}

func (r *runner) options() holdline.FollowOptions {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	o := holdline.FollowOptions{
		FromStart: r.s.FromStart, AckDelivered: r.s.Ack, Pace: quick, FirstHeartbeat: ms(r.s.Client.FirstHeartbeat), Idle: ms(r.s.Client.Idle),
		StreamAgain: holdline.Pace{Min: ms(r.s.Client.StreamAgain), Max: ms(r.s.Client.StreamAgain)},
	}
	if r.s.Follow == "room" {
		o.Conversation = r.world.ID("room")
	}
	switch r.s.Transport {
	case "stream":
		o.Transport = holdline.Stream
	case "longpoll":
		o.Transport = holdline.LongPoll
	}
	return o
}

// followed are the ids of the conversations that are followed.
func (r *runner) followed() []string {
	if r.s.Follow == "room" {
		return []string{r.world.ID("room")}
	}
	return []string{r.world.ID("room"), r.world.ID("side")}
}

func (r *runner) do(what string) conformance.Result {
	r.t.Helper()
	result, err := r.world.Do(r.t.Context(), conformance.Command{Do: what})
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
	return result
}

func (r *runner) await(s conformance.Step) error {
	switch s.Await {
	case "heads":
		heads := r.do("heads").Heads
		return r.app.wait(func() bool {
			for _, id := range r.followed() {
				if r.app.complete[id] < heads[id] {
					return false
				}
			}
			return true
		})
	case "struck":
		return r.poll(func() bool { return r.do("struck").Struck >= s.Count })
	case "delivered":
		return r.poll(func() bool {
			result := r.do("heads")
			for _, id := range r.followed() {
				if result.Delivered[id] < result.Heads[id] {
					return false
				}
			}
			return true
		})
	case "live":
		return r.app.wait(func() bool {
			return r.app.state.Phase == holdline.Live && string(r.app.state.Transport) == s.Transport
		})
	case "reset":
		return r.app.wait(func() bool { return r.app.resets > 0 })
	case "end":
		return r.app.wait(func() bool { return r.app.err != nil })
	default:
		return fmt.Errorf("there is nothing called %q to wait for", s.Await)
	}
}

// poll waits for what only the World knows.
func (r *runner) poll(holds func() bool) error {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			return errors.New("it does not come true")
		}
	}
	return nil
}

func (r *runner) send(s conformance.Step) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	event, err := r.client.Send(ctx, r.world.ID("room"), s.Text, holdline.SendOptions{Pace: quick})
	outcome := "accepted"
	var problem *holdline.Problem
	if errors.As(err, &problem) {
		outcome = problem.Code
	}
	if outcome != s.Outcome || outcome == "accepted" && (err != nil || event.Text != s.Text) {
		return fmt.Errorf("the outcome is %s and not %s: %w", outcome, s.Outcome, err)
	}
	count := 0
	for _, e := range r.do("logs").Logs[r.world.ID("room")] {
		if e.Text == s.Text {
			count++
		}
	}
	if want := map[bool]int{true: 1, false: 0}[outcome == "accepted"]; count != want {
		return fmt.Errorf("the log has the message %d times", count)
	}
	return nil
}

// check holds what the application has seen against the server's logs.
func (r *runner) check() {
	r.t.Helper()
	a := r.app
	for id, log := range r.do("logs").Logs {
		at := a.began[id]
		for _, e := range a.seen[id] {
			if e.Seq != at+1 {
				r.t.Errorf("%s: event %d came after %d", id, e.Seq, at)
			}
			at = max(e.Seq, e.ThroughSeq)
			if at > int64(len(log)) {
				r.t.Errorf("%s: event %d is beyond the log's %d", id, at, len(log))
				break
			}
			if is := log[e.Seq-1]; e.Type != "hidden" && (is.Type != e.Type || is.Text != e.Text || is.SenderID != e.SenderId || is.Action != e.Action) {
				r.t.Errorf("%s: event %d came as %+v and is %+v", id, e.Seq, e, is)
			}
		}
	}
	for id, complete := range a.complete {
		if last := a.last(id); last != complete {
			r.t.Errorf("%s: it was called complete to %d, and what came ends at %d", id, complete, last)
		}
	}
	var end *holdline.EndError
	var bad *holdline.MalformedError
	code, room := "", r.world.ID("room")
	switch {
	case errors.As(a.err, &end):
		code = end.Problem.Code
	case errors.As(a.err, &bad):
		code = "malformed"
		if bad.What != "event" || bad.ConversationID != room || bad.Seq != a.last(room)+1 || bad.Cursor != a.cursor {
			r.t.Errorf("it ended at %+v behind seq %d and the cursor %q", bad, a.last(room), a.cursor)
		}
	}
	if len(a.wrong) > 0 {
		r.t.Error(a.wrong)
	}
	if code != r.s.Sees.End || a.resets != r.s.Sees.Resets {
		r.t.Errorf("it ended with %q (%v) and %d resets", code, a.err, a.resets)
	}
	if want := r.s.Sees.Transport; want != "" && string(a.live) != want {
		r.t.Errorf("it was read by %s in the end", a.live)
	}
	if struck := r.do("struck").Struck; struck < r.s.Sees.Struck {
		r.t.Errorf("faults struck %d times", struck)
	}
}
