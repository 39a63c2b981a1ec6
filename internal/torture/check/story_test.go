package check

import (
	"fmt"
	"slices"
	"testing"

	"holdline/internal/torture/history"
)

// story is a short correct history, written by hand: seq n of conversation c0
// comes into the log at time 100 n, its operation takes from 10 before to 10
// after that, and readers see it at 20 after. Tests change one thing in it.
type story struct {
	*history.History
	log []history.Event // of c0
}

func newStory() *story {
	s := &story{History: &history.History{Run: history.Run{Epochs: []history.Epoch{{At: 1, Name: "k7q"}}}}}
	for _, u := range []string{"ann", "bob", "cleo", "dora"} {
		s.Users = append(s.Users, history.User{ID: u, Handle: u})
	}
	founders := []string{"ann", "bob", "cleo"}
	s.entry(history.Event{Type: "created", Sender: "ann", Kind: "group", Members: founders})
	s.did(history.Operation{Kind: history.Create, User: "ann", Begin: 90, End: 110, Members: founders})
	s.message("ann", "a") // 2
	s.message("bob", "b") // 3, whose answer was lost
	lost := s.last()
	again := *lost
	lost.Outcome, lost.Seq, lost.AcceptedAt = history.Unknown, 0, ""
	again.Begin, again.End, again.Status = 340, 350, 200
	s.did(again)
	s.change("added")      // 4
	s.message("dora", "c") // 5
	s.change("removed")    // 6
	s.message("ann", "d")  // 7, whose outcome is not known
	*s.last() = history.Operation{Kind: history.Send, User: "ann", Client: "ann", Conversation: "c0", ClientID: "m-7", Text: "d", Begin: 690, End: 710, Outcome: history.Unknown}
	s.change("added")                                                         // 8
	s.message("bob", "e")                                                     // 9
	s.message("cleo", "f")                                                    // 10
	title := s.entry(history.Event{Type: "title", Sender: "ann", Title: "g"}) // 11
	s.did(history.Operation{Kind: history.Title, User: "ann", Begin: title.Seq*100 - 10, End: title.Seq*100 + 10, Text: "g"})
	s.did(history.Operation{Kind: history.Send, User: "dora", ClientID: "refused", Text: "refused", Begin: 640, End: 650, Outcome: history.Refused, Status: 404, Code: "not_found"})
	s.did(history.Operation{Kind: history.Send, User: "ann", ClientID: "gone", Text: "gone", Begin: 660, End: 670, Outcome: history.Unknown})

	s.did(history.Operation{Kind: history.Ack, User: "bob", Begin: 400, End: 410, Read: map[string]int64{"c0": 3}})
	s.did(history.Operation{Kind: history.Ack, User: "cleo", Begin: 500, End: 510, Delivered: map[string]int64{"c0": 4}})
	s.did(history.Operation{Kind: history.State, User: "bob", Begin: 740, End: 750, State: &history.View{FirstSeq: 1, LastSeq: 7, DeliveredSeq: 3, ReadSeq: 3, Unread: 2}})
	s.did(history.Operation{Kind: history.State, User: "dora", Begin: 1040, End: 1050, State: &history.View{FirstSeq: 4, LastSeq: 10, Unread: 2}})
	s.did(history.Operation{Kind: history.Head, User: "cleo", Begin: 960, End: 970, Seq: 9})
	s.did(history.Operation{Kind: history.Receipts, User: "ann", Seq: 3, Begin: 760, End: 770, Receipts: []history.Receipt{
		{Conversation: "c0", User: "bob", Delivered: 3, Read: 3}, {Conversation: "c0", User: "cleo", Delivered: 3},
	}})

	stream := s.read("stream", "bob", history.Stream, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	stream.Steps[2].Event.ClientID = "m-3"
	s.read("dora", "dora", history.Poll, 4, 5, 6, -7, 8, 9, 10, 11)
	s.read("text", "cleo", history.Text, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	back := s.read("back", "cleo", history.Poll, 1, 2, 3, 4)
	back.Steps = append(back.Steps, history.Step{At: 700, Request: &history.Request{Covers: 2, Cursor: true}})
	s.see(back, 720, 3, 4, 5, 6, 7, 8, 9, 10, 11)

	// An inbox is told of receipts, and forks on a second device.
	inbox := s.read("inbox", "ann", history.InboxStream, 1, 2, 3)
	inbox.Start = history.Start{From: history.FromStart}
	s.told(inbox, 420, "bob", 3, 3)
	s.told(inbox, 520, "cleo", 4, 0)
	s.see(inbox, 530, 4, 5)
	s.see(inbox, 620, 6, 7, 8, 9, 10, 11)
	fork := s.read("fork", "ann", history.InboxPoll)
	fork.Start, fork.Begin = history.Start{From: history.FromReader, Reader: "inbox", Steps: 5}, 800
	fork.Steps = []history.Step{{At: 800, Request: &history.Request{Cursor: true}}}
	s.see(fork, 820, 4, 5, 6, 7, 8, 9, 10, 11)
	now := s.read("now", "cleo", history.InboxPoll)
	now.Start, now.Begin = history.Start{From: history.FromNow, Snapshot: map[string]int64{"c0": 8}}, 830
	s.see(now, 840, 8)
	s.told(now, 850, "bob", 3, 3)
	s.see(now, 920, 9, 10, 11)
	away := s.read("away", "dora", history.InboxPoll)
	away.Start, away.Begin = history.Start{From: history.FromNow, Snapshot: map[string]int64{}}, 720
	s.see(away, 820, 8, 9, 10, 11)
	s.told(away, 1200, "ann", 3, 0) // which the fork handed back
	for _, r := range []*history.Reader{inbox, fork, now} {
		r.ReceiptsComplete = true
	}
	s.told(now, 1210, "ann", 3, 0)

	s.Conversations = []history.Conversation{{
		ID: "c0", Kind: "group", Reader: "ann", ReadAt: 2000, Log: s.log,
		Members: []history.Member{{User: "ann", Role: "owner", FromSeq: 1}, {User: "bob", FromSeq: 1}, {User: "cleo", FromSeq: 1}, {User: "dora", FromSeq: 8}},
		Receipts: []history.Receipt{
			{Conversation: "c0", User: "ann", Delivered: 3}, {Conversation: "c0", User: "bob", Delivered: 3, Read: 3},
			{Conversation: "c0", User: "cleo", Delivered: 4},
		},
	}}
	return s
}

func (s *story) entry(e history.Event) history.Event {
	e.Conversation, e.Seq = "c0", int64(len(s.log))+1
	e.AcceptedAt = fmt.Sprintf("2026-11-25T08:00:%02d.000Z", e.Seq)
	s.log = append(s.log, e)
	return e
}

func (s *story) did(o history.Operation) {
	o.Client, o.Node, o.Conversation = o.User, "node", "c0"
	if o.Outcome == "" {
		o.Outcome, o.Status = history.OK, max(o.Status, 200)
	}
	s.Operations = append(s.Operations, o)
}

func (s *story) last() *history.Operation { return &s.Operations[len(s.Operations)-1] }

func (s *story) message(user, text string) {
	e := s.entry(history.Event{Type: "message", Sender: user, Text: text})
	s.did(history.Operation{
		Kind: history.Send, User: user, ClientID: fmt.Sprintf("m-%d", e.Seq), Text: text, Begin: e.Seq*100 - 10, End: e.Seq*100 + 10,
		Status: 201, Seq: e.Seq, AcceptedAt: e.AcceptedAt,
	})
}

func (s *story) change(action string) {
	kind := history.Add
	if action == "removed" {
		kind = history.Remove
	}
	e := s.entry(history.Event{Type: "member", Sender: "ann", User: "dora", Action: action})
	s.did(history.Operation{Kind: kind, User: "ann", Members: []string{"dora"}, Begin: e.Seq*100 - 10, End: e.Seq*100 + 10, Events: []history.Event{e}})
}

// read is a complete chain from the beginning. Seqs below zero are hidden.
func (s *story) read(id, user string, form history.Form, seqs ...int64) *history.Reader {
	if s.Readers == nil {
		s.Readers = make([]history.Reader, 0, 20) // pointers into it stay good
	}
	r := history.Reader{ID: id, Client: user, User: user, Form: form, Begin: 50, Start: history.Start{From: history.FromSeq}, Complete: true}
	if !form.Inbox() {
		r.Conversation = "c0"
	}
	s.Readers = append(s.Readers, r)
	added := &s.Readers[len(s.Readers)-1]
	s.see(added, 0, seqs...)
	return added
}

func (s *story) see(r *history.Reader, from int64, seqs ...int64) {
	for _, seq := range seqs {
		e := history.Event{Conversation: "c0", Seq: -seq, Through: -seq, Type: "hidden"}
		if seq > 0 {
			e = s.log[seq-1]
		}
		if r.Form == history.Text {
			e.Kind, e.Members = "", nil
		}
		r.Steps = append(r.Steps, history.Step{At: max(from, 100*e.Seq+20), Event: &e})
	}
}

func (*story) told(r *history.Reader, at int64, user string, delivered, read int64) {
	r.Steps = append(r.Steps, history.Step{At: at, Receipt: &history.Receipt{Conversation: "c0", User: user, Delivered: delivered, Read: read}})
}

// op is the n-th operation of a kind, from 0.
func (s *story) op(kind history.Kind, n int) *history.Operation {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Kind == kind {
			if n--; n < 0 {
				return o
			}
		}
	}
	panic("no such operation")
}

// sent is the last attempt to send a text.
func (s *story) sent(text string) *history.Operation {
	for i := range slices.Backward(s.Operations) {
		if o := &s.Operations[i]; o.Kind == history.Send && o.Text == text {
			return o
		}
	}
	panic("no such send")
}

func (s *story) reader(id string) *history.Reader {
	for i := range s.Readers {
		if s.Readers[i].ID == id {
			return &s.Readers[i]
		}
	}
	panic("no such reader")
}

// step is the number of the first step of a reader that was an event with seq.
func (s *story) step(id string, seq int64) int {
	return slices.IndexFunc(s.reader(id).Steps, func(step history.Step) bool { return step.Event != nil && step.Event.Seq == seq })
}

func (s *story) event(id string, seq int64) *history.Event {
	return s.reader(id).Steps[s.step(id, seq)].Event
}

// without leaves some events out of a chain that comes back to nothing.
func (s *story) without(id string, seqs ...int64) {
	r := s.reader(id)
	r.Steps = slices.DeleteFunc(r.Steps, func(step history.Step) bool { return step.Event != nil && slices.Contains(seqs, step.Event.Seq) })
}

func (s *story) insert(id string, before int, steps ...history.Step) {
	r := s.reader(id)
	r.Steps = slices.Insert(r.Steps, before, steps...)
}

func (s *story) end(id string, step history.Step) {
	r := s.reader(id)
	step.At = 3000
	r.Steps = append(r.Steps, step)
}

func (s *story) forget(f func(o *history.Operation) bool) {
	s.Operations = slices.DeleteFunc(s.Operations, func(o history.Operation) bool { return f(&o) })
}

func TestTheStoryPasses(t *testing.T) {
	report := mustPass(t, newStory().History)
	want := Counts{
		Sends: 8, Accepted: 5, Refused: 1, UnknownStored: 1, UnknownLost: 1, Logged: 11, Readers: 8, Complete: 8, Events: 70, Receipts: 5,
		Reads: 3, Linearized: 14,
	}
	if report.Counts != want {
		t.Errorf("counts are\n%+v, want\n%+v", report.Counts, want)
	}
}
