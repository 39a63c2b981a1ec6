package together

import (
	"testing"

	"go.uber.org/goleak"

	"holdline/internal/browser"
)

// run runs the tests, then ends the browser.
type run struct{ *testing.M }

// Run implements goleak.TestingM.
func (r run) Run() int {
	defer browser.End()
	return r.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(run{m}) }
