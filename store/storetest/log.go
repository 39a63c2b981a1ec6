package storetest

import (
	"fmt"
	"strings"
	"testing"

	"holdline/store"
)

// places tells events as seqs, hidden ones as ranges.
func places(events []store.Event) string {
	var all []string
	for _, e := range events {
		if e.Type == store.EventHidden {
			all = append(all, fmt.Sprintf("%d-%d hidden", e.Seq, e.ThroughSeq))
		} else {
			all = append(all, fmt.Sprint(e.Seq))
		}
	}
	return strings.Join(all, " ")
}

// fill sends messages until the conversation's head is last.
func (w *world) fill(a store.Actor, conversation store.ID, last int64) {
	w.Helper()
	head, err := w.store.LastSeq(w.Context(), conversation)
	w.must(err)
	for head < last {
		head = w.say(a, conversation, fmt.Sprint("message ", head+1)).Seq
	}
}

func (s *suite) log(t *testing.T) {
	t.Run("a range, to its limit", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		group, other := w.group(ann, ""), w.group(ann, "")
		w.fill(ann, group, 9)
		w.fill(ann, other, 3)
		for _, page := range []struct {
			from, to int64
			limit    int
			want     string
			more     bool
		}{
			{1, 9, 9, "1 2 3 4 5 6 7 8 9", false},
			{1, 9, 8, "1 2 3 4 5 6 7 8", true},
			{3, 5, 10, "3 4 5", false},
			{3, 5, 3, "3 4 5", false},
			{3, 5, 2, "3 4", true},
			{8, 99, 10, "8 9", false},
			{10, 99, 10, "", false},
			{5, 4, 10, "", false},
		} {
			events, more, err := w.store.Events(w.Context(), group, page.from, page.to, page.limit)
			w.must(err)
			what := fmt.Sprintf("%d to %d, at most %d", page.from, page.to, page.limit)
			equal(w, what, places(events), page.want)
			equal(w, what+": more", more, page.more)
		}
		events, more, err := w.store.Events(w.Context(), store.NewID(), 1, 9, 9)
		w.must(err)
		equal(w, "of no conversation", len(events), 0)
		equal(w, "more of it", more, false)
		last, err := w.store.LastSeq(w.Context(), store.NewID())
		w.must(err)
		equal(w, "its head", last, 0)
	})

	t.Run("a page ends by its bytes", func(t *testing.T) {
		w := s.world(t)
		ann := w.user("ann")
		group := w.group(ann, "")
		text := strings.Repeat("x", store.MaxTextBytes)
		const sent = 100
		together(sent, func(int) {
			if _, _, err := w.store.Append(w.Context(), store.Send{Actor: ann, ConversationID: group, ClientID: store.NewID().String(), Text: text}); err != nil {
				t.Error(err)
			}
		})
		var got int64
		pages := 0
		for from, more := int64(1), true; more; pages++ {
			var events []store.Event
			var err error
			events, more, err = w.store.Events(w.Context(), group, from, sent+1, 1000)
			w.must(err)
			size := 0
			for _, e := range events {
				size += len(e.Text)
				got++
				equal(w, "seq", e.Seq, got)
			}
			if size > store.MaxPageBytes {
				t.Errorf("a page of %d bytes", size)
			}
			if len(events) == 0 {
				t.Fatal("an empty page with more to come")
			}
			from = events[len(events)-1].Seq + 1
		}
		equal(w, "events", got, sent+1)
		equal(w, "pages", pages, 2)

		back, err := w.store.EventsBefore(w.Context(), ann.UserID, group, 0, 1000)
		w.must(err)
		equal(w, "more before", back.More, true)
		equal(w, "the newest comes last", back.Events[len(back.Events)-1].Seq, sent+1)
		state, err := w.store.Messages(w.Context(), ann.UserID, group, 0, 1, 1000)
		w.must(err)
		equal(w, "more messages", state.More, true)
		equal(w, "the oldest comes first", state.Messages[0].Seq, 2)
	})

	t.Run("backwards, as one member sees it", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "")
		w.fill(ann, group, 2)
		w.add(ann, group, "bob") // 3
		w.fill(ann, group, 5)
		w.remove(ann, group, bob.UserID) // 6
		w.fill(ann, group, 9)
		w.add(ann, group, "bob") // 10
		w.fill(ann, group, 12)
		for _, page := range []struct {
			before int64
			limit  int
			want   string
			more   bool
		}{
			{0, 100, "3 4 5 6 7-9 hidden 10 11 12", false},
			{99, 2, "11 12", true},
			{0, 3, "10 11 12", true},
			{0, 4, "7-9 hidden 10 11 12", true},
			{0, 5, "6 7-9 hidden 10 11 12", true},
			{11, 2, "7-9 hidden 10", true},
			{10, 100, "3 4 5 6 7-9 hidden", false},
			{7, 2, "5 6", true},
			{7, 4, "3 4 5 6", false},
			{3, 10, "", false},
			{1, 10, "", false},
		} {
			got, err := w.store.EventsBefore(w.Context(), bob.UserID, group, page.before, page.limit)
			w.must(err)
			what := fmt.Sprintf("at most %d before %d", page.limit, page.before)
			equal(w, what, places(got.Events), page.want)
			equal(w, what+": more", got.More, page.more)
			equal(w, "last seq", got.LastSeq, 12)
			equal(w, "first seq", got.FirstSeq(), 3)
		}
		all, err := w.store.EventsBefore(w.Context(), ann.UserID, group, 0, 100)
		w.must(err)
		equal(w, "ann sees", places(all.Events), "1 2 3 4 5 6 7 8 9 10 11 12")
	})
}

func (s *suite) state(t *testing.T) {
	t.Run("pages of messages", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "")
		w.fill(ann, group, 2)
		w.add(ann, group, "bob") // 3
		w.fill(ann, group, 5)
		w.remove(ann, group, bob.UserID) // 6
		w.fill(ann, group, 9)
		w.add(ann, group, "bob") // 10
		w.fill(ann, group, 12)
		for _, page := range []struct {
			before, after int64
			limit         int
			want          string
			more          bool
		}{
			{0, 0, 100, "4 5 11 12", false},
			{0, 0, 3, "5 11 12", true},
			{12, 0, 2, "5 11", true},
			{5, 0, 2, "4", false},
			{4, 0, 2, "", false},
			{0, 1, 100, "4 5 11 12", false},
			{0, 4, 2, "5 11", true},
			{0, 11, 2, "12", false},
			{0, 12, 2, "", false},
		} {
			got, err := w.store.Messages(w.Context(), bob.UserID, group, page.before, page.after, page.limit)
			w.must(err)
			var events []store.Event
			for _, m := range got.Messages {
				events = append(events, m.Event)
				equal(w, "state_seq", m.StateSeq, m.Seq)
			}
			what := fmt.Sprintf("at most %d before %d after %d", page.limit, page.before, page.after)
			equal(w, what, places(events), page.want)
			equal(w, what+": more", got.More, page.more)
			equal(w, "last seq", got.LastSeq, 12)
		}
	})

	t.Run("one message", func(t *testing.T) {
		w := s.world(t)
		ann, bob := w.user("ann"), w.user("bob")
		group := w.group(ann, "")
		sent := w.say(ann, group, "before bob") // 2
		w.add(ann, group, "bob")                // 3
		m, err := w.store.Message(w.Context(), ann.UserID, group, 2)
		w.must(err)
		equal(w, "message", m.Event, sent)
		for _, seq := range []int64{-1, 0, 1, 3, 4} {
			_, err = w.store.Message(w.Context(), ann.UserID, group, seq)
			w.wants(store.CodeNotFound, err)
		}
		_, err = w.store.Message(w.Context(), bob.UserID, group, 2)
		w.wants(store.CodeNotFound, err)
	})
}
