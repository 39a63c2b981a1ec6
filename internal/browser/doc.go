// Package browser leads a real Chromium without a window, for tests of what runs
// in one: pages of ours, and the TypeScript SDK in pages of others. One browser
// serves all tests of a program; each has profiles of its own in it.
package browser
