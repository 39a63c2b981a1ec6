package chat

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdline/internal/harness"
)

// A letter that an earlier run may have stored is not called refused because one may not look any more; and it does not hold up
// those behind it.
func TestALetterThatCannotBeAskedAfter(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	group := bob.Group("ann")
	var swallow atomic.Bool
	swallow.Store(true)
	proxy := swallower(t, server, &swallow)

	folder := filepath.Join(t.TempDir(), "spool")
	send := func(to, id string) (Outcome, string, []error) {
		t.Helper()
		var s *Spool
		if err := unlocked(t, func() (err error) {
			s, err = OpenSpool(folder, "me")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // a lock
		name := ""
		if to != "" {
			var err error
			if name, err = s.Keep(Letter{To: to, Text: id, ClientID: id}); err != nil {
				t.Fatal(err)
			}
		}
		var out strings.Builder
		var told []error
		m := &Mailer{Server: proxy, Token: ann.Token, Timeout: time.Second, Out: &out}
		outcome, err := s.Send(t.Context(), m, name, func(err error) { told = append(told, err) })
		if err != nil {
			told = append(told, err)
		}
		return outcome, out.String(), told
	}
	if outcome, out, _ := send(group, "a"); outcome != Unknown || out != "unknown a\n" {
		t.Fatalf("%d, %q", outcome, out)
	}
	swallow.Store(false)
	bob.Must(200, "DELETE", "/v1/conversations/"+group+"/members/"+ann.UserID, nil, nil)
	outcome, out, told := send("bob", "b")
	if outcome != Accepted || !strings.HasPrefix(out, "unknown a\naccepted ") || len(told) != 1 || !strings.Contains(told[0].Error(), "may have been stored") {
		t.Errorf("%d, %q, %v", outcome, out, told)
	}
	if got := texts(bob, group); len(got) != 1 || got[0] != "a" {
		t.Errorf("the log holds %q", got)
	}
	if outcome, out, told := send("", ""); outcome != Accepted || out != "" || told != nil {
		t.Errorf("%d, %q, %v", outcome, out, told)
	}
	if kept, err := filepath.Glob(filepath.Join(folder, "*"+refusedEnding)); err != nil || len(kept) != 1 {
		t.Errorf("%q, %v", kept, err)
	}
	// One that is new is refused.
	if outcome, out, _ := send(group, "c"); outcome != Refused || out != "refused c\n" {
		t.Errorf("%d, %q", outcome, out)
	}
}

// What cannot be marked as tried is not tried.
func TestALetterThatCannotBeMarked(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, quick)
	ann, bob := server.SignUp("ann"), server.SignUp("bob")
	m := &Mailer{Server: server.URL, Token: ann.Token, Timeout: time.Minute, Out: io.Discard}
	full := errors.New("full")
	outcome, err := m.SendMarked(context.Background(), Letter{To: "bob", Text: "x", ClientID: "x"}, func() error { return full })
	if outcome != Unknown || !errors.Is(err, full) {
		t.Errorf("%d, %v", outcome, err)
	}
	if got := texts(bob, bob.Direct("ann")); len(got) > 0 {
		t.Errorf("the log holds %q", got)
	}
}
