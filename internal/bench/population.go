package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"holdline/store"
)

// person is a user made below HTTP.
type person struct {
	account
	actor store.Actor
}

// people makes n users who are signed in and have no password: hashing one for
// each would take minutes, and none of them is to sign in again.
func (w *world) people(ctx context.Context, prefix string, n int) ([]person, error) {
	all := make([]person, n)
	err := w.inStore(ctx, func(s *store.Store) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(setUpAtOnce)
		for i := range all {
			g.Go(func() (err error) {
				all[i], err = newPerson(ctx, s, fmt.Sprintf("%s-%05d", prefix, i))
				return err
			})
		}
		return g.Wait()
	})
	return all, err
}

// newPerson is what a sign-up and a sign-in store; its token is of the form
// that the server gives: hl_USER_SECRET.
func newPerson(ctx context.Context, s *store.Store, handle string) (person, error) {
	u, err := s.CreateUser(ctx, store.NewUser{Handle: handle})
	if err != nil {
		return person{}, err
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	hash := sha256.Sum256([]byte(secret))
	session, err := s.CreateSession(ctx, u.ID, hash[:], "")
	if err != nil {
		return person{}, err
	}
	return person{
		account: account{handle: handle, token: "hl_" + u.ID.String() + "_" + secret},
		actor:   store.Actor{UserID: u.ID, SessionID: session.ID},
	}, nil
}

// inStore runs fn on a store over the scratch database, in this process and
// with no server beside it.
func (w *world) inStore(ctx context.Context, fn func(s *store.Store) error) error {
	b, err := w.scratch.open(ctx)
	if err != nil {
		return err
	}
	s, err := store.New(ctx, b, store.Options{})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	return errors.Join(fn(s), s.Close())
}

func handlesOf(people []person) []string {
	handles := make([]string, len(people))
	for i, p := range people {
		handles[i] = p.handle
	}
	return handles
}

// blocks makes conversations for many people: each block of people, of the
// given size, shares `each` of them. The i-th person is in those at [i/size].
// One user more makes them and can send in all of them.
func (w *world) blocks(ctx context.Context, people []person, size, each int) ([][]string, error) {
	var groups []group
	for from := 0; from < len(people); from += size {
		members := handlesOf(people[from:min(from+size, len(people))])
		for range each {
			groups = append(groups, group{creator: w.users[0], members: members})
		}
	}
	ids, err := w.makeGroups(ctx, groups)
	if err != nil {
		return nil, err
	}
	var all [][]string
	for len(ids) > 0 {
		all = append(all, ids[:each])
		ids = ids[each:]
	}
	return all, nil
}
