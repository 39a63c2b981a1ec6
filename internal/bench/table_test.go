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
	}
	r.setBars()
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A CPU, 2 cores", "synchronous=FULL", "fsync: p50 0.31 ms", "33333", "40000 messages stored", "(40 % before the 201)", "5.4 KiB", "MISSED", "at least 0.85"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	missed := r.Missed()
	if len(missed) != 1 || missed[0].Name != "send: rate / bare handler" {
		t.Errorf("missed: %+v", missed)
	}
}
