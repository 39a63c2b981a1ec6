package api

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing may run on after Close, whatever a test did to it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
