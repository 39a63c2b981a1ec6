package check

import (
	"fmt"
	"testing"

	"holdline/internal/torture/history"
)

// busy is a correct history of one conversation with many messages, fresh reads
// and readers, all at the same time as their neighbours.
func busy(messages, readers int) *history.History {
	const step = 1000
	h := &history.History{Users: []history.User{{ID: "ann"}}}
	log := []history.Event{{Conversation: "c0", Seq: 1, Type: "created", Sender: "ann", Members: []string{"ann"}, AcceptedAt: fmt.Sprintf("%09d", 1)}}
	for n := int64(2); n <= int64(messages)+1; n++ {
		e := history.Event{Conversation: "c0", Seq: n, Type: "message", Sender: "ann", Text: fmt.Sprintf("text %d", n), AcceptedAt: fmt.Sprintf("%09d", n)}
		log = append(log, e)
		// Ten sends and ten reads overlap.
		h.Operations = append(h.Operations, history.Operation{
			Kind: history.Send, User: "ann", Conversation: "c0", ClientID: fmt.Sprintf("m-%d", n), Text: e.Text, Outcome: history.OK, Status: 201,
			Seq: n, AcceptedAt: e.AcceptedAt, Begin: n*step - 5*step, End: n*step + 5*step,
		}, history.Operation{
			Kind: history.Head, User: "ann", Conversation: "c0", Outcome: history.OK, Seq: n, Begin: n*step - 5*step, End: n*step + 5*step,
		})
	}
	for i := range readers {
		r := history.Reader{ID: fmt.Sprintf("r%d", i), User: "ann", Form: history.InboxStream, Start: history.Start{From: history.FromStart}, Complete: true}
		for j := range log {
			r.Steps = append(r.Steps, history.Step{At: log[j].Seq*step + 5*step, Event: &log[j]})
		}
		h.Readers = append(h.Readers, r)
	}
	h.Conversations = []history.Conversation{{ID: "c0", Kind: "group", Reader: "ann", Log: log}}
	return h
}

func TestBusyConversations(t *testing.T) {
	report := mustPass(t, busy(3*blockSize, 2))
	if want := 6*blockSize + 1; report.Counts.Linearized != want {
		t.Errorf("Porcupine was asked about %d steps, want %d", report.Counts.Linearized, want)
	}
}

// A read at the border of two blocks is in neither's sight alone.
func TestOrderAcrossBlocks(t *testing.T) {
	for _, seq := range []int64{blockSize - 1, blockSize, blockSize + 1, 2 * blockSize} {
		h := busy(3*blockSize, 0)
		for i := range h.Operations {
			if o := &h.Operations[i]; o.Kind == history.Head && o.Seq == seq {
				o.Begin, o.End = o.Begin+20_000, o.End+20_000 // 20 sends later
			}
		}
		if report := Check(h, Options{}); report.Totals[Linearizable] != 1 {
			t.Errorf("a stale read of seq %d: %v, want %s", seq, report.Totals, Linearizable)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	h := busy(20_000, 10)
	for b.Loop() {
		if report := Check(h, Options{}); !report.OK() {
			b.Fatal(report.Violations)
		}
	}
}
