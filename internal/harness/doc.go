// Package harness runs the real holdline program for tests: built once, started
// as a child on a free port, watched, and gone when the test ends.
//
// The program is built with the race detector if the test is; a race in it
// fails the test that ran it.
package harness
