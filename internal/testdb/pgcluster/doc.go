// Package pgcluster runs throw-away PostgreSQL clusters for tests and benchmarks.
//
// It promises:
//
//  1. A real server, version 15 or later, with fsync and synchronous_commit on.
//  2. No cluster outlives the process that made it, however that process ends:
//     a watchdog holds the other end of a pipe, and when the pipe closes it stops
//     the server and removes its directory.
//  3. It works for root too, whom PostgreSQL refuses: the server then runs as
//     the user postgres, or nobody.
//
// It starts no goroutine, so that a leak check sees only what it looks for.
package pgcluster
