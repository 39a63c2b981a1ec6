//go:build !planted

package planted

// On reports whether a fault is switched on: never in this build.
func On(Fault) bool { return false }
