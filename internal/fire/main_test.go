package fire

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seedEnv repeats the choices of an earlier run. How they meet the server's own
// timing is chance all the same.
const seedEnv = "HOLDLINE_FIRE_SEED"

// dice gives each goroutine of a test a source of its own, all of one seed,
// which is told.
type dice struct{ seed uint64 }

func newDice(t *testing.T) dice {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(seedEnv); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
	}
	t.Logf("%s=%d", seedEnv, seed)
	return dice{seed}
}

func (d dice) of(who string) *rand.Rand {
	name := fnv.New64a()
	_, _ = name.Write([]byte(who)) // never fails
	return rand.New(rand.NewPCG(d.seed, name.Sum64()))
}
