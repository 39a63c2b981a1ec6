package check

import (
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
