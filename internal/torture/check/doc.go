// Package check holds the promises of a Holdline server against a recorded
// history: what its clients did and saw, and the logs as they were at the end.
// It asks no server and knows no clock, so a saved history can be judged again.
//
// Each promise is a rule with a name; what breaks it is a Violation that
// carries its evidence. Where the history leaves something open (an operation of
// unknown outcome, two things at the same time) a rule allows whatever an honest
// server could have done, so a violation is never a matter of timing.
//
// The log's behaviour under concurrency is also checked as linearizability, by
// Porcupine: each conversation is an append-only log, a send appends, a fresh
// read returns its length. What Porcupine cannot decide in the time it is given
// is reported as undecided, which is not a pass.
package check
