package pages

import (
	"flag"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdline/internal/browser"
)

// patience bounds every wait for something that must happen soon.
const patience = time.Minute

// run runs the tests, then ends the browser that they share.
type run struct{ *testing.M }

// Run implements goleak.TestingM.
func (r run) Run() int {
	defer browser.End()
	return r.M.Run()
}

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests mostly wait.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(run{m})
}
