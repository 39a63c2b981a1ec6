package storetest

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdline/store"
)

func (s *suite) sessions(t *testing.T) {
	t.Run("found by secret and by id", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		session, user, err := w.store.SessionBySecret(w.Context(), ann.UserID, hash("ann"))
		w.must(err)
		equal(w, "session", session.ID, ann.SessionID)
		equal(w, "session's user", session.UserID, ann.UserID)
		equal(w, "device", session.DeviceName, "device of ann")
		equal(w, "handle", user.Handle, "ann")
		equal(w, "display name", user.DisplayName, "ANN")
		byID, user, err := w.store.SessionByID(w.Context(), ann.UserID, ann.SessionID)
		w.must(err)
		equal(w, "by id", byID, session)
		equal(w, "user by id", user.ID, ann.UserID)

		_, _, err = w.store.SessionBySecret(w.Context(), ann.UserID, hash("bob"))
		w.wants(store.CodeUnauthorized, err)
		_, _, err = w.store.SessionBySecret(w.Context(), bob.UserID, hash("ann"))
		w.wants(store.CodeUnauthorized, err)
		_, _, err = w.store.SessionBySecret(w.Context(), ann.UserID, nil)
		w.wants(store.CodeUnauthorized, err)
		_, _, err = w.store.SessionByID(w.Context(), bob.UserID, ann.SessionID)
		w.wants(store.CodeUnauthorized, err)
	})

	t.Run("bad input", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		_, err := w.store.CreateSession(w.Context(), ann.UserID, []byte("short"), "")
		w.wants(store.CodeInternal, err)
		for _, name := range []string{"a\x00", "a\r", "\xc3", strings.Repeat("x", 65)} {
			_, err = w.store.CreateSession(w.Context(), ann.UserID, hash("x"), name)
			w.wantsField(store.CodeInvalid, "device_name", err)
		}
		_, err = w.store.CreateSession(w.Context(), store.NewID(), hash("x"), "")
		w.wants(store.CodeUnauthorized, err)
	})

	t.Run("ended", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		other := w.session(ann.UserID, "other")
		w.wants(store.CodeNotFound, w.store.EndSession(w.Context(), bob.UserID, ann.SessionID))
		w.must(w.store.EndSession(w.Context(), ann.UserID, ann.SessionID))
		w.wants(store.CodeNotFound, w.store.EndSession(w.Context(), ann.UserID, ann.SessionID))
		w.wantsRevoked(store.Revocation{UserID: ann.UserID, SessionID: ann.SessionID})
		_, _, err := w.store.SessionBySecret(w.Context(), ann.UserID, hash("ann"))
		w.wants(store.CodeUnauthorized, err)

		// Nothing may be written with it any more, whatever a cache still knows (promise 4).
		_, _, err = w.store.Append(w.Context(), store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: "x"})
		w.wants(store.CodeUnauthorized, err)
		_, _, err = w.store.CreateConversation(w.Context(), store.NewConversation{Actor: ann, Kind: store.KindGroup})
		w.wants(store.CodeUnauthorized, err)
		_, err = w.store.AddMembers(w.Context(), ann, group, []string{"bob"})
		w.wants(store.CodeUnauthorized, err)
		_, err = w.store.RemoveMember(w.Context(), ann, group, bob.UserID)
		w.wants(store.CodeUnauthorized, err)
		_, _, err = w.store.SetTitle(w.Context(), ann, group, "x")
		w.wants(store.CodeUnauthorized, err)
		w.wants(store.CodeUnauthorized, w.store.Ack(w.Context(), ann, store.Acks{Read: map[store.ID]int64{group: 1}}))
		_, err = w.store.AddMembers(w.Context(), ann, store.NewID(), []string{"bob"})
		w.wants(store.CodeUnauthorized, err)

		ann.SessionID = other
		w.say(ann, group, "from another session")
	})

	t.Run("all ended", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		w.session(ann.UserID, "second")
		w.must(w.store.EndSession(w.Context(), ann.UserID, w.session(ann.UserID, "third")))
		n, err := w.store.EndSessions(w.Context(), ann.UserID)
		w.must(err)
		equal(w, "ended", n, 2)
		w.wantsNoSessions(ann.UserID)
		w.wantsRevoked(store.Revocation{UserID: ann.UserID})
		n, err = w.store.EndSessions(w.Context(), ann.UserID)
		w.must(err)
		equal(w, "ended again", n, 0)
		n, err = w.store.EndSessions(w.Context(), store.NewID())
		w.must(err)
		equal(w, "ended of nobody", n, 0)
		_, _, err = w.store.SessionByID(w.Context(), bob.UserID, bob.SessionID)
		w.must(err)
	})

	t.Run("listed newest first", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		w.back.Store(-int64(time.Hour))
		second := w.session(ann.UserID, "second")
		w.back.Store(-2 * int64(time.Hour))
		third := w.session(ann.UserID, "third")
		w.must(w.store.EndSession(w.Context(), ann.UserID, second))
		sessions, err := w.store.Sessions(w.Context(), ann.UserID, 0, 10)
		w.must(err)
		var ids []store.ID
		for _, session := range sessions {
			ids = append(ids, session.ID)
		}
		equalSlices(w, "sessions", ids, []store.ID{third, ann.SessionID})
	})

	t.Run("listed in pages", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		want := []store.ID{ann.SessionID}
		for i := range 8 { // pairs of one moment
			w.back.Store(-int64(time.Hour) * int64(1+i/2))
			want = append(want, w.session(ann.UserID, string(rune('a'+i))))
		}
		w.back.Store(-3 * int64(time.Hour))
		w.session(bob.UserID, "another's")
		w.back.Store(0)
		first, err := w.store.Sessions(w.Context(), ann.UserID, 0, len(want))
		w.must(err)
		for i := range first[1:] {
			if first[i].CreatedAt < first[i+1].CreatedAt {
				t.Errorf("session %d is older than the next", i)
			}
		}
		var got []store.ID
		for after := store.ID(0); ; {
			page, err := w.store.Sessions(w.Context(), ann.UserID, after, 2)
			w.must(err)
			if len(page) == 0 {
				break
			}
			for _, session := range page {
				after = session.ID
				got = append(got, after)
			}
			// The page goes on behind a session that has ended meanwhile.
			if len(got) == 4 {
				w.must(w.store.EndSession(w.Context(), ann.UserID, after))
			}
		}
		for i := range first {
			equal(w, "session", got[i], first[i].ID)
		}
		slices.Sort(got)
		slices.Sort(want)
		equalSlices(w, "sessions", got, want)
		for _, nobody := range []store.ID{bob.SessionID, store.NewID()} {
			page, err := w.store.Sessions(w.Context(), ann.UserID, nobody, 10)
			w.must(err)
			equal(w, "sessions behind none of ann's", len(page), 0)
		}
	})

	t.Run("last seen, to the day", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		seen := func() store.Millis {
			session, _, err := w.store.SessionByID(w.Context(), ann.UserID, ann.SessionID)
			w.must(err)
			return session.LastSeenAt
		}
		const day = store.Millis(24 * 60 * 60 * 1000)
		before := seen()
		equal(w, "time of day", before%day, 0)
		w.back.Store(-24 * int64(time.Hour))
		w.must(w.store.TouchSession(w.Context(), ann.UserID, ann.SessionID))
		equal(w, "after a day", seen(), before+day)
		writes := w.backend.writes.Load()
		w.must(w.store.TouchSession(w.Context(), ann.UserID, ann.SessionID))
		equal(w, "writes on the same day", w.backend.writes.Load(), writes)
		w.back.Store(0)
		w.must(w.store.TouchSession(w.Context(), ann.UserID, ann.SessionID))
		equal(w, "never back", seen(), before+day)
	})

	t.Run("signing in with the password of a moment ago", func(t *testing.T) {
		w := s.world(t)
		u, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: "ann", PasswordHash: "$old"})
		w.must(err)
		session, err := w.store.SignIn(w.Context(), u.ID, "$old", hash("x"), "tablet")
		w.must(err)
		found, _, err := w.store.SessionBySecret(w.Context(), u.ID, hash("x"))
		w.must(err)
		equal(w, "session", found, session)
		w.must(w.store.SetPassword(w.Context(), u.ID, "$new"))
		_, err = w.store.SignIn(w.Context(), u.ID, "$old", hash("y"), "")
		w.wants(store.CodeUnauthorized, err)
		_, err = w.store.SignIn(w.Context(), u.ID, "", hash("y"), "")
		w.wants(store.CodeUnauthorized, err)
		w.wantsNoSessions(u.ID)
		_, err = w.store.SignIn(w.Context(), u.ID, "$new", hash("y"), "")
		w.must(err)
	})

	t.Run("signing in while the account is disabled", func(t *testing.T) {
		w := s.world(t)
		var refused atomic.Int32
		for range 8 {
			u, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: "u" + strings.ToLower(store.NewID().String())})
			w.must(err)
			together(2, func(i int) {
				if i == 0 {
					if err := w.store.DisableUser(w.Context(), u.ID); err != nil {
						t.Error(err)
					}
					return
				}
				if _, err := w.store.CreateSession(w.Context(), u.ID, hash("x"), ""); err != nil {
					w.wants(store.CodeUnauthorized, err)
					refused.Add(1)
				}
			})
			w.wantsNoSessions(u.ID)
		}
	})
}
