package check

import (
	"slices"
	"testing"

	"holdline/internal/torture/history"
)

func mustPass(t *testing.T, h *history.History) *Report {
	t.Helper()
	report := Check(h, Options{})
	for _, v := range report.Violations {
		t.Error(v)
	}
	for _, u := range report.Undecided {
		t.Error(u)
	}
	return report
}

func TestHonestServersPass(t *testing.T) {
	var all Counts
	for seed := range uint64(300) {
		report := mustPass(t, simulate(seed, 20+int(seed)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		n := report.Counts
		all.UnknownStored += n.UnknownStored
		all.UnknownLost += n.UnknownLost
		all.Refused += n.Refused
		all.Complete += n.Complete
		all.Receipts += n.Receipts
		all.Linearized += n.Linearized
	}
	if all.UnknownStored == 0 || all.UnknownLost == 0 || all.Refused == 0 || all.Complete == 0 || all.Receipts == 0 || all.Linearized == 0 {
		t.Errorf("the simulation leaves something out: %+v", all)
	}
}

func TestAResetInANewEpochIsHonest(t *testing.T) {
	s := newStory()
	s.Run.Epochs = append(s.Run.Epochs, history.Epoch{At: 500, Name: "new"})
	s.end("stream", history.Step{Ending: &history.Ending{Code: "cursor_reset"}})
	s.end("fork", history.Step{Ending: &history.Ending{Code: "cursor_reset"}}) // its cursor is from before
	mustPass(t, s.History)
}

func TestAConversationIsSeenBeforeItsCreationIsAnswered(t *testing.T) {
	s := newStory()
	o := s.op(history.Create, 0)
	again := *o
	o.Outcome, o.Status, o.Conversation = history.Unknown, 0, ""
	again.Begin, again.End = 1500, 1510
	s.Operations = append(s.Operations, again)
	mustPass(t, s.History)
}

// Who has got their removal, seq 6, lacks nothing up to 7, which they cannot see.
func TestAReceiptMayStandBehindAnAbsence(t *testing.T) {
	s := newStory()
	s.Readers = slices.DeleteFunc(s.Readers, func(r history.Reader) bool { return r.ID == "away" }) // it covers the absence by itself
	s.insert("dora", 3, history.Step{At: 630, Request: &history.Request{Covers: 3, Cursor: true}})
	s.tell("inbox", "dora", 7, 0)
	mustPass(t, s.History)
	s.tell("inbox", "dora", 8, 0)
	if report := Check(s.History, Options{}); report.Totals[ReceiptsAfterFact] != 1 {
		t.Errorf("a receipt that goes on behind the absence: %v", report.Totals)
	}
}

func TestReceiptsThatAreOffAreNotMissed(t *testing.T) {
	s := newStory()
	s.Users[1].ReceiptsOff = true
	for _, id := range []string{"inbox", "now"} {
		for _, step := range s.reader(id).Steps {
			if step.Receipt != nil && step.Receipt.User == "bob" {
				step.Receipt.Read = 0
			}
		}
	}
	s.op(history.Receipts, 0).Receipts[0].Read = 0
	mustPass(t, s.History)
}

// With history "all" an inbox gives what came after its cursor, which may lie
// between the last removal and the joining.
func TestAnInboxMayBeginBeforeTheJoining(t *testing.T) {
	for _, first := range []int64{1, 2, 3, 4} {
		s := newStory()
		s.Conversations[0].History = "all"
		s.op(history.State, 1).State = &history.View{FirstSeq: 1, LastSeq: 10, Unread: 3} // above the removal at 6
		for _, id := range []string{"dora", "away"} {
			s.without(id, 4, 5, 6, 7, 8, 9, 10, 11)
			r := s.reader(id)
			r.Form, r.Conversation, r.Begin, r.Steps = history.InboxPoll, "", 415, nil
			r.Start = history.Start{From: history.FromStart}
			s.see(r, 420, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}[first-1:]...)
		}
		mustPass(t, s.History)
		s.without("dora", 4)
		if report := Check(s.History, Options{}); report.Totals[SeenWhole] != 1 {
			t.Errorf("the joining is left out behind seq %d: %v", first-1, report.Totals)
		}
	}
}

// Somebody who was removed at seq 6 is shown a log that ends there, whatever has
// come since.
func TestALogThatEndsWithARemovalProvesNothing(t *testing.T) {
	s := newStory()
	s.did(history.Operation{Kind: history.Head, User: "dora", Begin: 992, End: 993, Seq: 6})
	mustPass(t, s.History)
	s.did(history.Operation{Kind: history.Head, User: "cleo", Begin: 994, End: 995, Seq: 6})
	if report := Check(s.History, Options{}); report.Totals[FreshReads] != 1 {
		t.Errorf("a member is shown the same: %v", report.Totals)
	}
}
