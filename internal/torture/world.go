package torture

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"holdline/internal/torture/history"
)

// talk is a planned conversation in the run.
type talk struct {
	mu   sync.Mutex
	id   string
	last int64 // the seq of a message that is in it, 0 for none yet
}

// known returns the conversation's id, empty while nobody knows it.
func (t *talk) known() (id string, last int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.id, t.last
}

func (t *talk) made(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id = id
}

func (t *talk) message(seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = max(t.last, seq)
}

// readAccounts reads a file of accounts, one a line: the handle, a space, and
// a password or a token. Lines that begin with # and empty lines are passed over.
func readAccounts(path string) (all [][2]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		handle, secret, ok := strings.Cut(line, " ")
		if secret = strings.TrimSpace(secret); !ok || secret == "" {
			return nil, fmt.Errorf("%s, line %d: write a handle, a space, and a password or token", path, n)
		}
		all = append(all, [2]string{handle, secret})
	}
	return all, in.Err()
}

type signedIn struct {
	User struct {
		ID     string `json:"id"`
		Handle string `json:"handle"`
	} `json:"user"`
	Token string `json:"token"`
}

// people makes the accounts by signing up, or signs in those that were given.
func (r *run) people(ctx context.Context, given [][2]string) error {
	r.accounts = make([]*account, r.plan.Scale.Users)
	nobody := newDevice("setup", nil, r.nodes, r.rec)
	defer nobody.close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2) // hashing a password takes a core and much memory
	for i := range r.accounts {
		g.Go(func() error {
			var in signedIn
			if given == nil {
				handle := fmt.Sprintf("torture-%s-%d", r.tag, i)
				err := nobody.must(ctx, "POST", "/v1/users", map[string]string{"handle": handle, "password": rand.Text()}, &in)
				if err != nil {
					return fmt.Errorf("signing up (a server with closed sign-up needs --accounts): %w", err)
				}
				r.accounts[i] = &account{id: in.User.ID, handle: in.User.Handle, token: in.Token}
				return nil
			}
			a, err := r.signIn(ctx, nobody, given[i][0], given[i][1])
			r.accounts[i] = a
			return err
		})
	}
	return g.Wait()
}

// signIn signs a given account in, unless the secret is a token already.
func (r *run) signIn(ctx context.Context, nobody *device, handle, secret string) (*account, error) {
	a := &account{handle: handle, token: secret}
	if !strings.HasPrefix(secret, "hl_") {
		var in signedIn
		if err := nobody.must(ctx, "POST", "/v1/sessions", map[string]string{"handle": handle, "password": secret}, &in); err != nil {
			return nil, fmt.Errorf("%s: %w", handle, err)
		}
		a.token = in.Token
	}
	var me struct {
		signedIn
		ReadReceipts bool `json:"read_receipts"`
	}
	d := newDevice("setup", a, r.nodes, r.rec)
	defer d.close()
	if err := d.must(ctx, "GET", "/v1/me", nil, &me); err != nil {
		return nil, fmt.Errorf("%s: %w", handle, err)
	}
	a.id, a.handle, a.hidden = me.User.ID, me.User.Handle, !me.ReadReceipts
	if a.hidden {
		r.hideReading(a.id)
	}
	return a, nil
}

// setUp makes the devices, and the conversations that exist from the start.
func (r *run) setUp(ctx context.Context, given [][2]string) error {
	if err := r.people(ctx, given); err != nil {
		return err
	}
	for i := range r.plan.Scale.Clients {
		r.devices = append(r.devices, newDevice(fmt.Sprintf("client-%02d", i), r.accounts[r.plan.Scale.userOf(i)], r.nodes, r.rec))
	}
	if given != nil {
		if err := r.noteOlder(ctx); err != nil {
			return err
		}
	}
	for i := range r.plan.Conversations {
		t := &talk{}
		r.talks = append(r.talks, t)
		if r.plan.Conversations[i].Late {
			continue
		}
		a := Act{Verb: Create, Client: r.plan.Conversations[i].Creator, Conversation: i, Number: -1 - i}
		r.create(ctx, r.devices[a.Client], a)
		// Two of the given accounts may talk to each other already; then the plan
		// does without this one.
		if id, _ := t.known(); id == "" && (given == nil || r.plan.Conversations[i].Kind != "direct") {
			return errors.Join(fmt.Errorf("conversation %d could not be made", i), ctx.Err())
		}
	}
	return nil
}

// hideReading notes that a user turns read receipts off or on: what others are
// shown of their reading is not compared with what they did.
func (r *run) hideReading(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hidden[user] = true
}

func (r *run) hides(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hidden[user]
}

// mostOlder leaves room in an inbox's snapshot, which lists 1,000.
const mostOlder = 500

// noteOlder notes the conversations that given accounts had before the run,
// which are none of its business.
func (r *run) noteOlder(ctx context.Context) error {
	for _, a := range r.accounts {
		all, err := r.list(ctx, a)
		if err != nil {
			return err
		}
		if len(all) > mostOlder {
			return fmt.Errorf("%s is in %d conversations already; give the run accounts with at most %d", a.handle, len(all), mostOlder)
		}
		for _, c := range all {
			r.rec.older[c.ID] = true
		}
	}
	return nil
}

// list is all of somebody's conversations.
func (r *run) list(ctx context.Context, a *account) (all []wireConversation, err error) {
	d := newDevice("list", a, r.nodes, r.rec)
	defer d.close()
	for path := "/v1/conversations?limit=1000"; ; {
		var page wireList
		if err := d.must(ctx, "GET", path, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Conversations...)
		if !page.More {
			return all, nil
		}
		path = "/v1/conversations?limit=1000&after=" + page.Next
	}
}

// users are the accounts as the history has them.
func (r *run) users() []history.User {
	var all []history.User
	for _, a := range r.accounts {
		all = append(all, history.User{ID: a.id, Handle: a.handle, ReceiptsOff: r.hides(a.id)})
	}
	return all
}
