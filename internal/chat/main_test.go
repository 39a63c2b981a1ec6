package chat

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// Most tests wait for other processes, which reconnect after a second or two: more of them fit onto the cores at once.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
