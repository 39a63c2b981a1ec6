package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"holdline/store"
)

// concurrency lets 16 people send, join, leave, rename and acknowledge at the
// same time. What is right afterwards is what the checker says (world.end), and
// that everything answered is in the log, once.
func (s *suite) concurrency(t *testing.T) {
	t.Run("sending while members come and go", func(t *testing.T) {
		w := s.world(t)
		owner := w.user("owner")
		const people, rounds = 16, 24
		var handles []string
		var actors []store.Actor
		for i := range people {
			handles = append(handles, fmt.Sprint("user", i))
			actors = append(actors, w.user(handles[i]))
		}
		groups := []store.ID{
			w.group(owner, store.HistoryJoined, handles...), w.group(owner, store.HistoryAll, handles[:8]...), w.group(owner, store.HistoryJoined),
		}
		var mu sync.Mutex
		answered := make(map[store.ID][]store.Event)
		together(people, func(i int) {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			for round := range rounds {
				group := groups[random.IntN(len(groups))]
				var e store.Event
				send := store.Send{Actor: actors[i], ConversationID: group, ClientID: fmt.Sprint(i, "-", round), Text: fmt.Sprint("from ", i)}
				act, whom := random.IntN(10), random.IntN(people)
				err := patiently(func() (err error) {
					switch act {
					case 0:
						_, err = w.store.AddMembers(w.Context(), owner, group, []string{handles[whom], handles[i]})
					case 1:
						_, err = w.store.RemoveMember(w.Context(), owner, group, actors[whom].UserID)
					case 2:
						_, err = w.store.RemoveMember(w.Context(), actors[i], group, actors[i].UserID)
					case 3:
						_, _, err = w.store.SetTitle(w.Context(), owner, group, fmt.Sprint("title ", i, round))
					case 4:
						w.store.NoteDelivered(actors[i].UserID, group, 1)
					default:
						e, _, err = w.store.Append(w.Context(), send)
					}
					return err
				})
				if err == nil && act > 4 {
					var again store.Event
					var duplicate bool
					err := patiently(func() (err error) {
						again, duplicate, err = w.store.Append(w.Context(), send)
						return err
					})
					switch {
					case err == nil && (!duplicate || again != e):
						t.Errorf("repeated: %+v, duplicate %v; first %+v", again, duplicate, e)
					case err != nil && store.CodeOf(err) != store.CodeNotFound: // removed meanwhile
						t.Error(err)
					}
					mu.Lock()
					answered[group] = append(answered[group], e)
					mu.Unlock()
				}
				if code := store.CodeOf(err); code != "" && code != store.CodeNotFound {
					t.Error(err)
				}
			}
		})
		for group, events := range answered {
			log, _, err := w.store.Events(w.Context(), group, 1, 1<<40, 10_000)
			w.must(err)
			for _, e := range events {
				if e.Seq > int64(len(log)) || log[e.Seq-1] != e {
					t.Errorf("answered %+v, but the log of %d has something else there", e, len(log))
				}
			}
		}
	})

	// The locks of a creation and of an addition are taken in one order: with
	// two orders, PostgreSQL would end one of them as a deadlock.
	t.Run("creating and adding the same people crosswise", func(t *testing.T) {
		w := s.world(t)
		const people = 8
		var handles []string
		var actors []store.Actor
		for i := range people {
			handles = append(handles, fmt.Sprint("user", i))
			actors = append(actors, w.user(handles[i]))
		}
		var groups []store.ID
		for _, a := range actors {
			groups = append(groups, w.group(a, ""))
		}
		together(people, func(i int) {
			for round := range 6 {
				if err := patiently(func() error {
					_, err := w.store.AddMembers(w.Context(), actors[i], groups[i], handles[:2+round])
					return err
				}); err != nil {
					t.Error(err)
				}
				if err := patiently(func() error {
					_, _, err := w.store.CreateConversation(w.Context(), store.NewConversation{
						Actor: actors[i], Kind: store.KindGroup, Members: handles, ClientID: fmt.Sprint(round),
					})
					return err
				}); err != nil {
					t.Error(err)
				}
				other := (i + 1 + round) % people
				if other == i {
					continue
				}
				if err := patiently(func() error {
					_, _, err := w.store.CreateConversation(w.Context(), store.NewConversation{
						Actor: actors[i], Kind: store.KindDirect, Members: []string{handles[other]},
					})
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
		equal(w, "slots beyond the next", w.number(`SELECT COUNT(*) FROM memberships m JOIN users u ON u.user_id = m.user_id WHERE m.slot >= u.next_slot`), 0)
	})
}
