//go:build planted

package planted

import (
	"os"
	"slices"
)

var chosen = choose()

func choose() Fault {
	f := Fault(os.Getenv(Env))
	if f != "" && !slices.Contains(All, f) {
		panic(Env + " names no fault: " + string(f))
	}
	return f
}

// On reports whether a fault is switched on.
func On(f Fault) bool { return f == chosen }
