package bench

import (
	"strings"
	"testing"
)

func TestTheTableShowsEveryMeasurement(t *testing.T) {
	r := Report{
		Machine:  Machine{CPU: "A CPU", Cores: 2},
		Database: Database{Kind: "sqlite", Version: "3.54.1", Where: "x.db", Disk: &Disk{"ext4 on /dev/vda", 0.31}, Durability: []Setting{{"synchronous", "FULL"}}},
		Send: &SendResult{Connections: 64, Conversations: 256, PerSecond: 8000, Ratio: 0.24, Stored: 40000,
			Rounds: []SendRound{{Bare: Rate{PerSecond: 33333}, Holdline: Rate{PerSecond: 8000}, Ratio: 0.24}}},
		Receive: &ReceiveResult{P99: 2.5, Rounds: []ReceiveRound{{BeforeAcceptance: 0.4}}},
		Fanout:  &FanoutResult{Readers: 2000, Ratio: 0.91, Rounds: []FanoutRound{{Ratio: 0.91}}},
		Idle:    &IdleResult{Readers: 5000, PerReader: 5.4},

		Inbox: &InboxResult{Moving: 300, Conversations: 1000, P99: 3.25, CursorMedian: 66, CursorMax: 107, Rounds: []InboxRound{{}}},
		CatchUp: &CatchUpResult{Conversations: 1000, Each: 3, Runs: []CatchUpRun{
			{Moved: 300, Requests: 9, Counts: Counts{Reads: 329, Statements: 392}, ColdAll: 361.67, Rounds: []CatchUpRound{{Plain: 1}}},
		}},
		Return:    &ReturnResult{Readers: 2001, Last: 1234.5, Rounds: []ReturnRound{{Ratio: 4.43}}},
		InboxIdle: &InboxIdleResult{Conversations: 100, Plain: IdleResult{Readers: 4999}, Above: 4.5, Polls: IdleResult{PerReader: 11.25}},
		Acks:      &AcksResult{PerSecond: 1000, Readers: 50, PerReader: 0.98, Rounds: []AcksRound{{Rows: 98.7}}},
		Horizon:   &HorizonResult{Part: 0.017, Share: 0.041, Rounds: []HorizonRound{{PerBatch: 37.4}}},
	}
	r.setBars()
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A CPU, 2 cores", "synchronous=FULL", "fsync: p50 0.31 ms", "33333", "40000 messages stored", "(40 % before the 201)", "5.4 KiB", "MISSED", "at least 0.85",
		"300 of the 1000", "max 107", "9 requests", "392 statements", "361.67", "2001 readers", "1234.50", "4999 users", "11.2 KiB", "98.7", "37.4", "share of 0.041"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	missed := r.Missed()
	if len(missed) != 2 || missed[0].Name != "send: rate / bare handler" || missed[1].Name != "inboxidle: memory per stream, above a plain one" {
		t.Errorf("missed: %+v", missed)
	}
}
