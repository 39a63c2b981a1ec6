// Package subprocess is what whoever starts holdline as a process of their own needs:
// an environment without an operator's settings, an address to come back to, and
// an end with the parent.
package subprocess
