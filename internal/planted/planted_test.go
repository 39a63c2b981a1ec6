package planted_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"holdline/internal/harness"
	"holdline/internal/planted"
)

// In an ordinary build the faults are not only off, they are not there.
func TestAnOrdinaryProgramHasNoFaults(t *testing.T) {
	ordinary, err := os.ReadFile(harness.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	faulty, err := os.ReadFile(harness.Planted(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range planted.All {
		if planted.On(fault) {
			t.Errorf("%s is switched on in a test", fault)
		}
		if bytes.Contains(ordinary, []byte(fault)) {
			t.Errorf("an ordinary program knows %s", fault)
		}
		if !bytes.Contains(faulty, []byte(fault)) {
			t.Errorf("the program with faults does not know %s", fault)
		}
	}
}

func TestAFaultThatThereIsNotIsRefused(t *testing.T) {
	for name, wrong := range map[string]bool{"": false, string(planted.ClockTrusted): false, "no-such-fault": true} {
		cmd := exec.CommandContext(t.Context(), harness.Planted(t), "version")
		cmd.Env = append(os.Environ(), planted.Env+"="+name)
		out, err := cmd.CombinedOutput()
		if (err != nil) != wrong || wrong && !strings.Contains(string(out), name) {
			t.Errorf("%q: %v\n%s", name, err, out)
		}
	}
}
