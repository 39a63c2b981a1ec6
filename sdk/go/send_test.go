package holdline_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	holdline "holdline/sdk/go"
)

// sent reads a send and makes its event.
func sent(r *http.Request) holdline.Event {
	var m holdline.NewMessage
	_ = json.NewDecoder(r.Body).Decode(&m) // an empty one then
	e := entry(7)
	e.ClientId, e.Text = m.ClientId, m.Text
	return e
}

// Nothing but the message itself is taken for its acceptance, and each attempt has the same client_id.
func TestSendGoesOnUntilItIsCertain(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		e := sent(r)
		if r.Method == http.MethodPost {
			ids[e.ClientId] = true
		}
		switch n {
		case 0: // another's message
			e.ClientId = "another"
			says(w, http.StatusCreated, e)
		case 1: // cut in the answer
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write([]byte(`{"seq":`))
		case 2:
			refuses(w, http.StatusInternalServerError, "internal", "")
		case 3:
			refuses(w, http.StatusServiceUnavailable, "outcome_unknown", "")
		case 4:
			refuses(w, http.StatusTooManyRequests, "rate_limited", "")
		case 5:
			refuses(w, http.StatusRequestTimeout, "timeout", "")
		case 6: // the page of a network that wants one to sign in
			_, _ = w.Write([]byte("<html>"))
		case 7: // a proxy's own refusal
			w.WriteHeader(http.StatusForbidden)
		case 8: // a redirection that makes a POST a GET
			http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
		case 9:
			refuses(w, http.StatusInsufficientStorage, "storage_full", "")
		default:
			says(w, http.StatusOK, e)
		}
	})
	e, err := c.Send(t.Context(), cid, "hello", holdline.SendOptions{ClientID: "m-1", Pace: quick})
	if err != nil || e.Seq != 7 || e.Text != "hello" {
		t.Fatalf("%+v, %v", e, err)
	}
	if len(ids) != 1 || !ids["m-1"] {
		t.Errorf("client_ids %v", ids)
	}
	if n := len(s.called()); n != 12 {
		t.Errorf("%d calls: %q", n, s.called())
	}
}

func TestSendThatIsRefused(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{400: "invalid", 401: "unauthorized", 404: "not_found", 409: "client_id_reused", 413: "body_too_large"} {
		s, c := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { refuses(w, status, code, "text") })
		_, err := c.Send(t.Context(), cid, "hello", holdline.SendOptions{Pace: quick})
		var p *holdline.Problem
		if !errors.As(err, &p) || p.Code != code || errors.As(err, new(*holdline.UnconfirmedError)) || len(s.called()) != 1 {
			t.Errorf("%d: %v after %d calls", status, err, len(s.called()))
		}
	}
}

// A session or membership that ended meanwhile does not say what became of the attempt before.
func TestARefusalThatHidesTheOutcome(t *testing.T) {
	t.Parallel()
	_, c := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 0 {
			refuses(w, http.StatusServiceUnavailable, "outcome_unknown", "")
			return
		}
		refuses(w, http.StatusNotFound, "not_found", "")
	})
	_, err := c.Send(t.Context(), cid, "hello", holdline.SendOptions{ClientID: "m-1", Pace: quick})
	var u *holdline.UnconfirmedError
	var p *holdline.Problem
	if !errors.As(err, &u) || !u.MaybeStored || u.ClientID != "m-1" || !errors.As(err, &p) || p.Code != "not_found" {
		t.Fatal(err)
	}
}

func TestSendWhoseTimeEnds(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	overloaded := func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", "3600")
		refuses(w, http.StatusServiceUnavailable, "overloaded", "")
	}
	broken := func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) }
	_, busy := serve(t, overloaded)
	_, cut := serve(t, broken)
	for name, c := range map[string]struct {
		client *holdline.Client
		maybe  bool
		within time.Duration
	}{
		"nobody listens": {newClient(t, "http://"+listener.Addr().String(), ""), false, 200 * time.Millisecond},
		"overloaded":     {busy, false, 3 * time.Second}, // the answer must have come
		"cut":            {cut, true, 200 * time.Millisecond},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), c.within)
		_, err := c.client.Send(ctx, cid, "hello", holdline.SendOptions{Pace: holdline.Pace{Min: time.Millisecond, Max: time.Millisecond}})
		cancel()
		var u *holdline.UnconfirmedError
		if !errors.As(err, &u) || u.MaybeStored != c.maybe || len(u.ClientID) < 20 || u.ConversationID != cid || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Retry-After is honoured, also as a date, which is read against the answer's own and not against the clock here.
func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][2]string{"seconds": {"1", ""}, "date": {"Sun, 06 Nov 1994 08:49:38 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"}} {
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
			if n > 0 {
				says(w, http.StatusCreated, sent(r))
				return
			}
			w.Header().Set("Retry-After", header[0])
			if header[1] != "" {
				w.Header().Set("Date", header[1])
			}
			refuses(w, http.StatusServiceUnavailable, "overloaded", "")
		})
		began := time.Now()
		_, err := c.Send(t.Context(), cid, "hello", holdline.SendOptions{Pace: holdline.Pace{Min: time.Millisecond, Max: time.Millisecond}})
		if took := time.Since(began); err != nil || took < time.Second {
			t.Errorf("%s: %v after %v", name, err, took)
		}
	}
}

func TestWhatIsNoTextIsNotSent(t *testing.T) {
	t.Parallel()
	s, c := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { says(w, http.StatusCreated, sent(r)) })
	if _, err := c.Send(t.Context(), cid, "\xff", holdline.SendOptions{}); err == nil || len(s.called()) > 0 {
		t.Errorf("%v, %q", err, s.called())
	}
	for _, wrong := range []string{"", "chat.example.org", "ftp://chat.example.org", "http://", "https://chat.example.org/?a=b"} {
		if _, err := holdline.New(wrong, holdline.Options{}); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
