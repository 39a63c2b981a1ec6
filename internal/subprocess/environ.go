package subprocess

import (
	"slices"
	"strings"
)

// Environ is a copy of an environment without HOLDLINE_ variables, but for those
// that begin with one of keep: what an operator has set for their own server is
// not for this one.
func Environ(environ []string, keep ...string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		return strings.HasPrefix(pair, "HOLDLINE_") &&
			!slices.ContainsFunc(keep, func(prefix string) bool { return strings.HasPrefix(pair, prefix) })
	})
}
