package api

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// Nothing may run on after Close, whatever a test did to it.
func TestMain(m *testing.M) {
	flag.Parse()
	// Those that are parallel mostly wait.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
