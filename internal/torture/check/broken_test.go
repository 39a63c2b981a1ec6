package check

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"holdline/internal/torture/history"
)

// broken are changes to the story, each a promise broken, with all promises
// that are to be found broken by it.
var broken = []struct {
	name   string
	change func(s *story)
	want   []Promise
}{
	// The log.
	{"an accepted message is not what the log holds", func(s *story) { s.sent("a").Text = "other" }, []Promise{Durable, NothingInvented}},
	{"an accepted message has another time in the log", func(s *story) { s.sent("a").AcceptedAt = "2026-11-25T08:00:59.000Z" }, []Promise{Durable}},
	{"the last accepted entries are lost", func(s *story) {
		c := &s.Conversations[0]
		c.Log = c.Log[:9]
	}, []Promise{Durable, NoReadsAhead, SeenAsStored}},
	{"an answered change of members is lost", func(s *story) { s.op(history.Add, 0).Events[0].User = "cleo" }, []Promise{Durable}},
	{"a message is stored twice", func(s *story) { s.append("message", "ann", "a") }, []Promise{Once, SeenWhole}},
	{"a message of unknown outcome is stored twice", func(s *story) { s.append("message", "ann", "d") }, []Promise{Once, SeenWhole}},
	{"a repeat is answered with another seq", func(s *story) { s.repeat("a", func(o *history.Operation) { o.Seq = 7 }) }, []Promise{Once}},
	{"a repeat is answered with another time", func(s *story) { s.repeat("a", func(o *history.Operation) { o.AcceptedAt = s.log[0].AcceptedAt }) }, []Promise{Once}},
	{"one client_id is accepted with two texts", func(s *story) { s.sent("e").ClientID = "m-3" }, []Promise{Once}},
	{"two sends are answered with one seq", func(s *story) { s.sent("f").Seq = 9 }, []Promise{Durable, Linearizable, Once}},
	{"two equal sends are answered with one seq", func(s *story) {
		s.repeat("a", func(o *history.Operation) { o.ClientID = "m-0" })
	}, []Promise{Linearizable, Once}},
	{"a refused send is stored", func(s *story) { s.sent("a").Outcome = history.Refused }, []Promise{RefusedIsNotStored}},
	{"the log holds a message that nobody sent", func(s *story) { s.append("message", "ann", "new") }, []Promise{NothingInvented, SeenWhole}},
	{"the log holds a title that nobody gave", func(s *story) { s.append("title", "ann", "new") }, []Promise{NothingInvented, SeenWhole}},
	{"a member was removed by nobody", func(s *story) { s.forget(func(o *history.Operation) bool { return o.Kind == history.Remove }) }, []Promise{NothingInvented}},
	{"a log has a gap", func(s *story) {
		c := &s.Conversations[0]
		c.Log = slices.Delete(slices.Clone(c.Log), 9, 10)
	}, []Promise{Durable, Gapless, SeenAsStored, SeenWhole, Unread}},
	{"a log does not begin with created", func(s *story) { s.rewrite(1, func(e *history.Event) { e.Type = "title" }) },
		[]Promise{Gapless, Membership, NothingInvented, SeenByMembers}},
	{"a log is empty", func(s *story) { s.Conversations = append(s.Conversations, history.Conversation{ID: "c1"}) }, []Promise{Gapless}},
	{"time falls along a log", func(s *story) {
		for _, set := range []func(at string){func(at string) { s.rewrite(10, func(e *history.Event) { e.AcceptedAt = at }) }, func(at string) { s.sent("f").AcceptedAt = at }} {
			set(s.log[3].AcceptedAt)
		}
	}, []Promise{SeenAsStored, TimeNeverFalls}},

	// Membership.
	{"the list of members lacks one", func(s *story) { s.Conversations[0].Members = s.Conversations[0].Members[1:] }, []Promise{Membership}},
	{"the list of members has a stranger", func(s *story) { s.Conversations[0].Members[0].User = "eve" }, []Promise{Membership}},
	{"the list of members has another joining", func(s *story) { s.Conversations[0].Members[3].FromSeq = 4 }, []Promise{Membership}},
	{"somebody is added who is a member", func(s *story) {
		s.append("member", "ann", "")
		s.op(history.Add, 0).Members = []string{"dora", "bob"}
	}, []Promise{Membership, SeenWhole}},
	{"a message of somebody removed is accepted", func(s *story) {
		s.rewrite(7, func(e *history.Event) { e.Sender = "dora" })
		s.sent("d").User = "dora"
	}, []Promise{Membership, SeenAsStored}},
	{"somebody removed is shown the conversation", func(s *story) {
		s.did(history.Operation{Kind: history.State, User: "dora", Begin: 740, End: 750, State: &history.View{FirstSeq: 4, LastSeq: 7}})
	}, []Promise{Membership}},
	{"first_seq is before the joining", func(s *story) { s.op(history.State, 1).State.FirstSeq = 1 }, []Promise{Membership}},

	// What readers see.
	{"one event is left out", func(s *story) { s.without("stream", 5) }, []Promise{SeenWhole}},
	{"one event is left out of an inbox", func(s *story) { s.without("inbox", 9) }, []Promise{SeenWhole}},
	{"the last event is left out", func(s *story) { s.without("text", 11) }, []Promise{SeenWhole}},
	{"the last event is left out of an inbox", func(s *story) { s.without("now", 11) }, []Promise{SeenWhole}},
	{"the first event is left out", func(s *story) { s.without("dora", 4) }, []Promise{SeenWhole}},
	{"an absence is passed over in silence", func(s *story) { s.without("dora", 7) }, []Promise{SeenWhole}},
	{"a removal is left out", func(s *story) { s.without("dora", 6) }, []Promise{SeenWhole}},
	{"an inbox is not told of a joining", func(s *story) { s.without("away", 8) }, []Promise{SeenWhole}},
	{"an inbox never gets a conversation", func(s *story) { s.without("away", 8, 9, 10, 11) }, []Promise{SeenWhole}},
	{"what follows a snapshot is left out", func(s *story) { s.without("now", 9) }, []Promise{SeenWhole}},
	{"a fork lacks what the first device got later", func(s *story) { s.without("fork", 4) }, []Promise{SeenWhole}},
	{"a cursor that comes back skips one", func(s *story) {
		r := s.reader("back")
		r.Steps = slices.Delete(r.Steps, 5, 6)
	}, []Promise{SeenWhole}},
	{"one event comes twice", func(s *story) { s.double("stream", 5) }, []Promise{SeenOnce}},
	{"one event comes twice in an inbox", func(s *story) { s.double("inbox", 5) }, []Promise{SeenOnce}},
	{"what follows a snapshot comes twice", func(s *story) { s.double("now", 9) }, []Promise{SeenOnce}},
	{"a fork is given what its cursor covers", func(s *story) {
		s.insert("fork", 1, history.Step{At: 800, Event: &s.log[2]})
	}, []Promise{SeenOnce}},
	{"a cursor that comes back is given what it covers", func(s *story) {
		s.insert("back", 5, history.Step{At: 705, Event: &s.log[1]})
	}, []Promise{SeenOnce}},
	{"two events change places", func(s *story) {
		steps := s.reader("stream").Steps
		steps[4].Event, steps[5].Event = steps[5].Event, steps[4].Event
		steps[4].At = steps[5].At
	}, []Promise{SeenInOrder, SeenWhole}},
	{"a reader sees another text", func(s *story) { s.event("stream", 5).Text = "other" }, []Promise{SeenAsStored}},
	{"a reader sees another time", func(s *story) { s.event("text", 5).AcceptedAt = "2026" }, []Promise{SeenAsStored}},
	{"a reader sees another sender", func(s *story) { s.event("inbox", 5).Sender = "bob" }, []Promise{SeenAsStored}},
	{"a reader sees another member removed", func(s *story) { s.event("text", 6).User = "bob" }, []Promise{SeenAsStored}},
	{"a reader sees other first members", func(s *story) { s.event("stream", 1).Members = []string{"ann"} }, []Promise{SeenAsStored}},
	{"a reader sees what the log does not hold", func(s *story) {
		s.end("stream", history.Step{Event: &history.Event{Seq: 12, Type: "message"}})
	}, []Promise{SeenAsStored}},
	{"a reader sees another conversation", func(s *story) {
		s.Conversations = append(s.Conversations, history.Conversation{ID: "c1", Log: []history.Event{{Conversation: "c1", Seq: 1, Type: "created", Members: []string{"bob"}}}})
		s.end("stream", history.Step{Event: &history.Event{Conversation: "c1", Seq: 1, Type: "created", Members: []string{"bob"}}})
	}, []Promise{SeenAsStored}},
	{"an inbox shows an unknown conversation", func(s *story) {
		s.end("inbox", history.Step{Event: &history.Event{Conversation: "c9", Seq: 1, Type: "created"}})
	}, []Promise{SeenAsStored}},
	{"somebody removed sees what comes next", func(s *story) {
		s.reader("dora").Steps[3].Event = &s.log[6]
	}, []Promise{SeenByMembers, SeenWhole}},
	{"somebody removed sees what comes next in an inbox", func(s *story) {
		s.insert("away", 0, history.Step{At: 720, Event: &s.log[6]})
	}, []Promise{SeenByMembers}},
	{"a member sees what came before their joining", func(s *story) {
		s.insert("dora", 0, history.Step{At: 420, Event: &s.log[2]})
	}, []Promise{SeenByMembers}},
	{"a stranger sees a conversation", func(s *story) { s.reader("inbox").User, s.Users = "eve", append(s.Users, history.User{ID: "eve"}) },
		[]Promise{ReceiptsAfterFact, SeenByMembers, WellRecorded}}, // the fork of it is not followed
	{"what a member may see is hidden", func(s *story) {
		*s.event("stream", 5) = history.Event{Conversation: "c0", Seq: 5, Type: "hidden"}
	}, []Promise{SeenByMembers, SeenWhole}},
	{"hidden goes beyond the absence", func(s *story) { s.event("dora", 7).Through = 8 }, []Promise{SeenByMembers, SeenWhole}},
	{"somebody sees the client_id of another", func(s *story) { s.event("stream", 5).ClientID = "m-5" }, []Promise{SeenByMembers}},
	{"an event is seen before it was sent", func(s *story) { s.shift("e", 50) }, []Promise{SeenAfterSent}},
	{"a cursor is reset in the same epoch", func(s *story) { s.end("stream", history.Step{Ending: &history.Ending{Code: "cursor_reset"}}) }, []Promise{NoFalseReset}},
	{"a cursor is called invalid", func(s *story) { s.end("inbox", history.Step{Ending: &history.Ending{Code: "invalid"}}) }, []Promise{NoFalseReset}},
	{"a cursor of the new epoch is reset", func(s *story) {
		s.Run.Epochs = append(s.Run.Epochs, history.Epoch{At: 40, Name: "new"})
		s.end("stream", history.Step{Ending: &history.Ending{Code: "cursor_reset"}})
	}, []Promise{NoFalseReset}},
	{"a member is told that there is no conversation", func(s *story) { s.end("back", history.Step{Ending: &history.Ending{Code: "not_found"}}) }, []Promise{NoFalseEnd}},

	// What comes after what.
	{"a send gets a lower seq than one answered before it", func(s *story) {
		s.forget(func(o *history.Operation) bool { return o.Kind == history.Head })
		s.sent("e").Begin, s.sent("e").End = 1015, 1018 // seq 9, after 10 was answered
		for _, id := range []string{"stream", "dora", "text", "back", "inbox", "fork", "now", "away"} {
			r := s.reader(id)
			for i := range r.Steps {
				if r.Steps[i].Event != nil && r.Steps[i].Event.Seq >= 9 {
					r.Steps[i].At += 1000
				} else if r.Steps[i].At > 900 {
					r.Steps[i].At += 2000
				}
			}
		}
	}, []Promise{Linearizable, RealTimeOrder}},
	{"a page lacks what was answered", func(s *story) { s.op(history.Head, 0).Seq = 8 }, []Promise{FreshReads, Linearizable}},
	{"a view lacks what was answered", func(s *story) {
		s.op(history.State, 0).State.LastSeq, s.op(history.State, 0).State.Unread = 6, 1
	}, []Promise{FreshReads, Linearizable}},
	{"a page lacks what an earlier one had", func(s *story) {
		s.did(history.Operation{Kind: history.Head, User: "bob", Begin: 992, End: 993, Seq: 10})
		s.did(history.Operation{Kind: history.Head, User: "cleo", Begin: 994, End: 995, Seq: 9})
	}, []Promise{FreshReads, Linearizable}},
	{"a page shows what was not begun", func(s *story) { s.op(history.Head, 0).Seq = 10 }, []Promise{Linearizable, NoReadsAhead}},
	{"a page names what is not there", func(s *story) {
		s.op(history.Head, 0).Begin, s.op(history.Head, 0).End, s.op(history.Head, 0).Seq = 2900, 2950, 12
	}, []Promise{Linearizable, NoReadsAhead}},

	// Receipts.
	{"a receipt goes back", func(s *story) { s.tell("inbox", "bob", 2, 2) }, []Promise{ReceiptsForward, ReceiptsWhole}},
	{"a receipt goes back on a fork", func(s *story) {
		s.insert("fork", 1, history.Step{At: 810, Receipt: &history.Receipt{Conversation: "c0", User: "cleo", Delivered: 3}})
	}, []Promise{ReceiptsForward, ReceiptsWhole}},
	{"read is beyond delivered", func(s *story) { s.reader("inbox").Steps[3].Receipt.Delivered = 2 }, []Promise{ReceiptsForward, ReceiptsWhole}},
	{"a receipt is beyond the log", func(s *story) {
		s.Conversations[0].Receipts[2].Delivered = 12
		s.tell("inbox", "cleo", 12, 0)
		s.tell("now", "cleo", 12, 0)
		s.tell("fork", "cleo", 12, 0)
	}, []Promise{ReceiptsAfterFact, ReceiptsWithinLog}},
	{"a receipt of a conversation that is not there", func(s *story) {
		s.end("inbox", history.Step{Receipt: &history.Receipt{Conversation: "c9", User: "bob"}})
	}, []Promise{ReceiptsWithinLog}},
	{"a read is told before it was acked", func(s *story) { s.op(history.Ack, 0).Begin, s.op(history.Ack, 0).End = 430, 440 }, []Promise{ReceiptsAfterFact}},
	{"a delivery is told before it was acked", func(s *story) { s.op(history.Ack, 1).Begin, s.op(history.Ack, 1).End = 530, 540 }, []Promise{ReceiptsAfterFact}},
	{"a delivery is told before the cursor came back", func(s *story) {
		s.insert("inbox", len(s.reader("inbox").Steps)-6, history.Step{At: 610, Receipt: &history.Receipt{Conversation: "c0", User: "ann", Delivered: 3}})
	}, []Promise{ReceiptsAfterFact}},
	{"a read is told that was never acked", func(s *story) {
		s.tell("away", "bob", 3, 3)
		s.forget(func(o *history.Operation) bool { return o.Kind == history.Ack && o.User == "bob" })
	},
		[]Promise{ReceiptsAfterFact}},
	{"a receipt is further than any ack", func(s *story) { s.tell("away", "cleo", 5, 0) }, []Promise{ReceiptsAfterFact}},
	{"a delivery is told as read", func(s *story) { s.tell("away", "cleo", 4, 1) }, []Promise{ReceiptsAfterFact}},
	{"a refused ack is told", func(s *story) { s.op(history.Ack, 0).Outcome = history.Refused }, []Promise{ReceiptsAfterFact}},
	{"an ack beyond the end counts after all", func(s *story) {
		s.did(history.Operation{Kind: history.Ack, User: "cleo", Begin: 1900, End: 1910, Outcome: history.Unknown, Read: map[string]int64{"c0": 99}})
		s.tell("away", "cleo", 11, 11)
	}, []Promise{ReceiptsAfterFact}},
	{"a bare seq counts as a cursor handed back", func(s *story) { s.reader("fork").Steps[0].Request.Cursor = false }, []Promise{ReceiptsAfterFact}},
	{"a list of receipts is ahead of the acks", func(s *story) { s.op(history.Receipts, 0).Receipts[1].Read = 3 }, []Promise{ReceiptsAfterFact}},
	{"the final watermarks are ahead of the acks", func(s *story) {
		s.Conversations[0].Receipts[1].Delivered = 4
		for _, id := range []string{"inbox", "fork", "now"} {
			s.reader(id).ReceiptsComplete = false
		}
	}, []Promise{ReceiptsAfterFact}},
	{"a stranger gets receipts", func(s *story) {
		s.Users = append(s.Users, history.User{ID: "eve"})
		eve := s.read("eve", "eve", history.InboxPoll)
		eve.Start = history.Start{From: history.FromNow}
		s.tell("eve", "bob", 3, 3)
	}, []Promise{SeenByMembers}},
	{"the last receipt never comes", func(s *story) {
		r := s.reader("now")
		r.Steps = slices.DeleteFunc(r.Steps, func(step history.Step) bool { return step.Receipt != nil && step.Receipt.User == "bob" })
	}, []Promise{ReceiptsWhole}},
	{"an answered ack is forgotten in the end", func(s *story) {
		s.Conversations[0].Receipts[2].Delivered = 3
		for _, id := range []string{"inbox", "fork", "now"} {
			s.reader(id).ReceiptsComplete = false
		}
	}, []Promise{ReceiptsWhole}},
	{"an answered ack is not in one's own view", func(s *story) {
		s.op(history.State, 0).State.ReadSeq, s.op(history.State, 0).State.Unread = 2, 2
	}, []Promise{ReceiptsWhole}},
	{"an answered ack is not in the list of receipts", func(s *story) { s.op(history.Receipts, 0).Receipts[0].Read = 0 }, []Promise{ReceiptsWhole}},
	{"an answered delivery is not in the list of receipts", func(s *story) { s.op(history.Receipts, 0).Receipts[1].Delivered = 0 }, []Promise{ReceiptsWhole}},
	{"unread is one too many", func(s *story) { s.op(history.State, 0).State.Unread++ }, []Promise{Unread}},
	{"unread counts what came before the joining", func(s *story) { s.op(history.State, 1).State.Unread = 3 }, []Promise{Unread}},

	// The history itself.
	{"a fork of nothing", func(s *story) { s.reader("fork").Start.Reader = "nobody" }, []Promise{ReceiptsAfterFact, WellRecorded}},
	{"a fork from beyond the end", func(s *story) { s.reader("fork").Start.Steps = 99 }, []Promise{ReceiptsAfterFact, WellRecorded}},
	{"two chains fork from each other", func(s *story) {
		s.reader("inbox").Start = history.Start{From: history.FromReader, Reader: "fork", Steps: 1}
	}, []Promise{ReceiptsAfterFact, WellRecorded}},
	{"a cursor that covers what is to come", func(s *story) { s.reader("back").Steps[4].Request.Covers = 6 }, []Promise{SeenOnce, WellRecorded}},
	{"time goes back along a chain", func(s *story) { s.reader("text").Steps[4].At = 1 }, []Promise{RealTimeOrder, SeenAfterSent, WellRecorded}},
	{"a conversation is there twice", func(s *story) { s.Conversations = append(s.Conversations, s.Conversations[0]) }, []Promise{WellRecorded}},
	{"a reader is there twice", func(s *story) { s.Readers = append(s.Readers, *s.reader("text")) }, []Promise{WellRecorded}},
	{"a log is missing", func(s *story) { s.Conversations = nil }, []Promise{ReceiptsWithinLog, SeenAsStored, WellRecorded}},
	{"the log was read by somebody who sees a part", func(s *story) {
		s.append("hidden", "", "")
	}, []Promise{Membership, SeenWhole, WellRecorded}},
}

// append adds an entry to the end of the log.
func (s *story) append(kind, sender, text string) {
	c := &s.Conversations[0]
	e := history.Event{Conversation: "c0", Seq: int64(len(c.Log)) + 1, Type: kind, Sender: sender, AcceptedAt: "2026-11-25T09"}
	switch kind {
	case "title":
		e.Title = text
	case "member":
		e.Action, e.User = "added", "bob"
	default:
		e.Text = text
	}
	c.Log = append(c.Log, e)
}

func (s *story) rewrite(seq int64, f func(e *history.Event)) { f(&s.Conversations[0].Log[seq-1]) }

// repeat repeats an answered send, differently.
func (s *story) repeat(text string, f func(o *history.Operation)) {
	o := *s.sent(text)
	o.Begin, o.End, o.Status = o.End+1, o.End+2, 200
	f(&o)
	s.Operations = append(s.Operations, o)
}

func (s *story) shift(text string, by int64) {
	o := s.sent(text)
	o.Begin, o.End = o.Begin+by, o.End+by
}

func (s *story) double(id string, seq int64) {
	n := s.step(id, seq)
	s.insert(id, n, s.reader(id).Steps[n])
}

func (s *story) tell(id, user string, delivered, read int64) {
	s.end(id, history.Step{Receipt: &history.Receipt{Conversation: "c0", User: user, Delivered: delivered, Read: read}})
}

func TestBrokenPromisesAreFound(t *testing.T) {
	named := make(map[Promise]bool)
	for _, b := range broken {
		t.Run(strings.ReplaceAll(b.name, " ", "-"), func(t *testing.T) {
			s := newStory()
			b.change(s)
			report := Check(s.History, Options{})
			got := slices.Sorted(maps.Keys(report.Totals))
			slices.Sort(b.want)
			if !slices.Equal(got, b.want) {
				t.Errorf("found %v, want %v", got, b.want)
				for _, v := range report.Violations {
					t.Log(v)
				}
			}
			if report.OK() {
				t.Error("the report is OK")
			}
		})
		for _, p := range b.want {
			named[p] = true
		}
	}
	for _, p := range []Promise{
		Durable, Once, RefusedIsNotStored, NothingInvented, Gapless, TimeNeverFalls, Membership, SeenWhole, SeenOnce, SeenInOrder, SeenAsStored,
		SeenByMembers, SeenAfterSent, NoFalseReset, NoFalseEnd, RealTimeOrder, FreshReads, NoReadsAhead, Linearizable, ReceiptsForward,
		ReceiptsWithinLog, ReceiptsAfterFact, ReceiptsWhole, Unread, WellRecorded,
	} {
		if !named[p] {
			t.Errorf("nothing breaks %s", p)
		}
	}
}

func TestNotDecidedIsNotOK(t *testing.T) {
	report := Check(newStory().History, Options{Timeout: time.Nanosecond})
	if len(report.Violations) != 0 || len(report.Undecided) != 1 || report.OK() {
		t.Errorf("report is %+v, want one conversation undecided", report)
	}
}

func TestViolationsAreCountedBeyondWhatIsKept(t *testing.T) {
	s := newStory()
	r := s.reader("text")
	r.Steps = append(r.Steps, r.Steps...)
	for i := range r.Steps {
		r.Steps[i].At = 1500
	}
	report := Check(s.History, Options{Most: 3})
	if len(report.Violations) != 3 || report.Totals[SeenOnce] != 11 {
		t.Errorf("%d violations are kept of %v, want 3 of 11", len(report.Violations), report.Totals)
	}
}
