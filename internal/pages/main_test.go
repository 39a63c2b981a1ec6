package pages

import (
	"flag"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait for something that must happen soon.
const patience = time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	// A browser takes a few hundred megabytes, and these tests mostly wait.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
