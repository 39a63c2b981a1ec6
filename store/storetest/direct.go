package storetest

import (
	"errors"
	"sync"
	"testing"

	"holdline/store"
)

func (s *suite) direct(t *testing.T) {
	t.Run("one for two people, whoever asks", func(t *testing.T) {
		w := s.world(t)
		ann, bob, cleo := w.user("ann"), w.user("bob"), w.user("cleo")
		ask := func(a store.Actor, members ...string) (store.Conversation, bool) {
			t.Helper()
			c, created, err := w.store.CreateConversation(w.Context(), store.NewConversation{Actor: a, Kind: store.KindDirect, Members: members})
			w.must(err)
			return c, created
		}
		first, created := ask(ann, "bob")
		equal(w, "created", created, true)
		equal(w, "role", first.Role, store.MemberRoleMember)
		equal(w, "title", first.Title, "")
		again, created := ask(ann, "ann", "bob")
		equal(w, "created again", created, false)
		equal(w, "again", again, first)
		other, created := ask(bob, "ann")
		equal(w, "created by the other", created, false)
		equal(w, "the other's", other.ID, first.ID)
		third, created := ask(cleo, "ann")
		equal(w, "another pair", created, true)
		if third.ID == first.ID {
			t.Error("two pairs share a conversation")
		}
		events, _, err := w.store.Events(w.Context(), first.ID, 1, 10, 10)
		w.must(err)
		equalSlices(w, "members", extra(t, events[0]).Members, []store.ID{ann.UserID, bob.UserID})
		equal(w, "kind", extra(t, events[0]).Kind, store.KindDirect)

		w.must(w.store.DisableUser(w.Context(), bob.UserID))
		_, created = ask(ann, "bob")
		equal(w, "created though bob is disabled", created, false)
	})

	t.Run("its members are fixed", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		w.user("cleo")
		c, _, err := w.store.CreateConversation(w.Context(), store.NewConversation{Actor: ann, Kind: store.KindDirect, Members: []string{"bob"}})
		w.must(err)
		_, err = w.store.AddMembers(w.Context(), ann, c.ID, []string{"cleo"})
		w.wants(store.CodeConflict, err)
		_, err = w.store.RemoveMember(w.Context(), ann, c.ID, bob.UserID)
		w.wants(store.CodeConflict, err)
		_, err = w.store.RemoveMember(w.Context(), ann, c.ID, ann.UserID)
		w.wants(store.CodeConflict, err)
		_, _, err = w.store.SetTitle(w.Context(), ann, c.ID, "x")
		w.wants(store.CodeConflict, err)
	})

	// Two nodes that create it at once make one. From both sides, many times
	// over: which of the steps meet is left to the scheduler.
	t.Run("created twice at once", func(t *testing.T) {
		w := s.world(t)
		for range 6 {
			a, b := "a"+lower(store.NewID()), "b"+lower(store.NewID())
			actors := []store.Actor{w.user(a), w.user(b)}
			made, conversations := w.createAtOnce(4, func(i int) store.NewConversation {
				other := []string{b, a}[i%2]
				return store.NewConversation{Actor: actors[i%2], Kind: store.KindDirect, Members: []string{other}}
			})
			equal(w, "created", made, 1)
			equal(w, "conversations", conversations, 1)
		}
		equal(w, "conversations", w.number(`SELECT COUNT(*) FROM conversations`), 6)
	})

	// The pair was inserted by a transaction that is still open: the second
	// creation waits for it and finds its conversation.
	t.Run("created while another creation is open", func(t *testing.T) {
		if !s.dialect.ConcurrentWrites {
			return // there a second writer cannot even begin
		}
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		low, high := min(ann.UserID, bob.UserID), max(ann.UserID, bob.UserID)
		open, release := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			err := w.backend.Backend.Write(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(`INSERT INTO direct_pairs (low_user, high_user, conversation_id) VALUES (?, ?, 1)`, low, high)
				close(open)
				<-release
				if err == nil {
					err = errRolledBack
				}
				return err
			}, func() {})
			if !errors.Is(err, errRolledBack) {
				t.Error(err)
			}
		})
		<-open
		result := make(chan error, 1)
		var created bool
		all.Go(func() {
			_, made, err := w.store.CreateConversation(w.Context(), store.NewConversation{Actor: ann, Kind: store.KindDirect, Members: []string{"bob"}})
			created = made
			result <- err
		})
		w.eventually("the creation waits for the open one", func() bool {
			return w.number(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
		})
		close(release)
		w.must(<-result)
		equal(w, "created", created, true)
		all.Wait()
	})
}
