package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"holdline/store"
)

func (s *suite) accounts(t *testing.T) {
	t.Run("create and find", func(t *testing.T) {
		w := s.world(t)
		made, err := w.store.CreateUser(w.Context(), store.NewUser{
			Handle: "ann.b-c_1", DisplayName: "Ann <b> & Ünal 🦉", PasswordHash: "$argon2id$x", Role: store.RoleOwner,
		})
		w.must(err)
		if made.ID == 0 || made.CreatedAt == 0 || made.DisabledAt != 0 || made.Role != store.RoleOwner {
			t.Errorf("made %+v", made)
		}
		byHandle, err := w.store.UserByHandle(w.Context(), "ann.b-c_1")
		w.must(err)
		equal(w, "by handle", byHandle, made)
		byID, err := w.store.UserByID(w.Context(), made.ID)
		w.must(err)
		equal(w, "by id", byID, made)
		user, password, err := w.store.Credentials(w.Context(), "ann.b-c_1")
		w.must(err)
		equal(w, "credentials", user, made)
		equal(w, "password", password, "$argon2id$x")

		_, err = w.store.CreateUser(w.Context(), store.NewUser{Handle: "ann.b-c_1"})
		w.wantsField(store.CodeHandleTaken, "handle", err)
		for _, handle := range []string{"nobody", "ANN", "", "a\x00b", "\xff\xff"} {
			_, err = w.store.UserByHandle(w.Context(), handle)
			w.wants(store.CodeNotFound, err)
			_, _, err = w.store.Credentials(w.Context(), handle)
			w.wants(store.CodeNotFound, err)
		}
		_, err = w.store.UserByID(w.Context(), store.NewID())
		w.wants(store.CodeNotFound, err)
	})

	t.Run("without a password", func(t *testing.T) {
		w := s.world(t)
		_, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: "ann"})
		w.must(err)
		_, password, err := w.store.Credentials(w.Context(), "ann")
		w.must(err)
		equal(w, "password", password, "")
	})

	t.Run("bad input", func(t *testing.T) {
		w := s.world(t)
		for _, handle := range []string{"", "a", "Ann", "ann!", "ann ", "änn", "a\x00b", "a\xffb", strings.Repeat("a", 33)} {
			_, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: handle})
			w.wantsField(store.CodeInvalid, "handle", err)
		}
		for _, name := range []string{"a\x00b", "a\nb", "a\x7fb", "\xff", strings.Repeat("é", 65)} {
			_, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: "ann", DisplayName: name})
			w.wantsField(store.CodeInvalid, "display_name", err)
		}
		_, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: "ann", Role: "king"})
		w.wantsField(store.CodeInvalid, "role", err)
		_, err = w.store.CreateUser(w.Context(), store.NewUser{Handle: strings.Repeat("a", 32), DisplayName: strings.Repeat("é", 64)})
		w.must(err)
	})

	t.Run("one handle taken by many at once", func(t *testing.T) {
		w := s.world(t)
		var won, lost atomic.Int32
		together(8, func(int) {
			_, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: "ann"})
			switch store.CodeOf(err) {
			case "":
				won.Add(1)
			case store.CodeHandleTaken:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
		equal(w, "winners", won.Load(), 1)
		equal(w, "losers", lost.Load(), 7)
		equal(w, "accounts", w.number(`SELECT COUNT(*) FROM users`), 1)
	})

	t.Run("listed by handle, in pages", func(t *testing.T) {
		w := s.world(t)
		for _, i := range []int{3, 1, 4, 0, 2} {
			_, err := w.store.CreateUser(w.Context(), store.NewUser{Handle: fmt.Sprint("user", i)})
			w.must(err)
		}
		var all []string
		after := ""
		for {
			page, err := w.store.Users(w.Context(), after, 2)
			w.must(err)
			if len(page) == 0 {
				break
			}
			for _, u := range page {
				all = append(all, u.Handle)
				after = u.Handle
			}
		}
		equalSlices(w, "handles", all, []string{"user0", "user1", "user2", "user3", "user4"})
		_, err := w.store.Users(w.Context(), "\x00", 2)
		w.wantsField(store.CodeInvalid, "after", err)
	})

	t.Run("a new password ends all sessions", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		w.session(ann.UserID, "another")
		w.must(w.store.SetPassword(w.Context(), ann.UserID, "$new"))
		_, password, err := w.store.Credentials(w.Context(), "ann")
		w.must(err)
		equal(w, "password", password, "$new")
		w.wantsNoSessions(ann.UserID)
		w.wantsRevoked(store.Revocation{UserID: ann.UserID})
		_, _, err = w.store.SessionByID(w.Context(), bob.UserID, bob.SessionID)
		w.must(err)
		w.wants(store.CodeNotFound, w.store.SetPassword(w.Context(), store.NewID(), "$new"))
	})

	t.Run("disabled with a live session", s.disabledRows)

	t.Run("disabled", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		w.must(w.store.DisableUser(w.Context(), bob.UserID))
		w.wantsNoSessions(bob.UserID)
		w.wantsRevoked(store.Revocation{UserID: bob.UserID})
		_, err := w.store.CreateSession(w.Context(), bob.UserID, hash("x"), "")
		w.wants(store.CodeUnauthorized, err)
		_, _, err = w.store.SessionByID(w.Context(), bob.UserID, bob.SessionID)
		w.wants(store.CodeUnauthorized, err)
		_, _, err = w.store.Append(w.Context(), store.Send{Actor: bob, ConversationID: group, ClientID: "1", Text: "x"})
		w.wants(store.CodeUnauthorized, err)

		first, err := w.store.UserByHandle(w.Context(), "bob")
		w.must(err)
		if first.DisabledAt == 0 {
			t.Error("bob is not disabled")
		}
		w.back.Store(-1e9)
		w.must(w.store.DisableUser(w.Context(), bob.UserID))
		again, err := w.store.UserByHandle(w.Context(), "bob")
		w.must(err)
		equal(w, "disabled again", again, first)
		w.wants(store.CodeNotFound, w.store.DisableUser(w.Context(), store.NewID()))
	})

	t.Run("enabled again", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "", "bob")
		before, err := w.store.UserByHandle(w.Context(), "bob")
		w.must(err)
		w.must(w.store.DisableUser(w.Context(), bob.UserID))
		w.must(w.store.EnableUser(w.Context(), bob.UserID))
		after, err := w.store.UserByHandle(w.Context(), "bob")
		w.must(err)
		equal(w, "bob", after, before)
		// Who was signed out stays so; who signs in now has everything as before.
		w.wantsNoSessions(bob.UserID)
		_, _, err = w.store.Append(w.Context(), store.Send{Actor: bob, ConversationID: group, ClientID: "1", Text: "x"})
		w.wants(store.CodeUnauthorized, err)
		bob.SessionID = w.session(bob.UserID, "again")
		w.say(bob, group, "back")
		w.must(w.store.EnableUser(w.Context(), bob.UserID))
		w.say(bob, group, "enabled twice, and still signed in")
		w.wants(store.CodeNotFound, w.store.EnableUser(w.Context(), store.NewID()))
	})
}

// disabledRows makes sure that a disabled account is refused by its own row,
// even if a session of it is live.
func (s *suite) disabledRows(t *testing.T) {
	w := s.world(t)
	ann := w.user("ann")
	group := w.group(ann, "")
	w.exec(`UPDATE users SET disabled_at = 1 WHERE user_id = ?`, ann.UserID)
	_, _, err := w.store.SessionByID(w.Context(), ann.UserID, ann.SessionID)
	w.wants(store.CodeUnauthorized, err)
	_, _, err = w.store.SessionBySecret(w.Context(), ann.UserID, hash("ann"))
	w.wants(store.CodeUnauthorized, err)
	_, _, err = w.store.Append(w.Context(), store.Send{Actor: ann, ConversationID: group, ClientID: "1", Text: "x"})
	w.wants(store.CodeUnauthorized, err)
	_, _, err = w.store.SetTitle(w.Context(), ann, group, "x")
	w.wants(store.CodeUnauthorized, err)
	_, _, err = w.store.CreateConversation(w.Context(), store.NewConversation{Actor: ann, Kind: store.KindGroup})
	w.wants(store.CodeUnauthorized, err)
	w.wants(store.CodeUnauthorized, w.store.Ack(w.Context(), ann, store.Acks{Read: map[store.ID]int64{group: 1}}))
}

func (w *world) wantsNoSessions(user store.ID) {
	w.Helper()
	sessions, err := w.store.Sessions(w.Context(), user, 0, 10)
	w.must(err)
	equal(w, "live sessions", len(sessions), 0)
}

// wantsRevoked makes sure that a sweep from the start finds the revocation.
func (w *world) wantsRevoked(want store.Revocation) {
	w.Helper()
	changes, err := w.store.Changes(w.Context(), 0)
	w.must(err)
	for _, r := range changes.Revocations {
		if r.UserID == want.UserID && r.SessionID == want.SessionID && r.Stamp > 0 {
			return
		}
	}
	w.Errorf("revocations %+v, want %+v among them", changes.Revocations, want)
}
