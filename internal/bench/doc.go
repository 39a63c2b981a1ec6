// Package bench measures a running Holdline server the way its clients meet
// it: over real sockets, with the server in a process of its own.
//
// It promises:
//
//  1. Nothing in the measured process is special: the server is the same
//     binary's `serve` with its default settings, on a scratch database.
//  2. Every figure has a neighbour. Where a ratio is given, the bare side (see
//     Bare) runs in the same minute, on the same machine, under the same load
//     client, in alternation.
//  3. A send counts when its 201 has been read. One that is answered otherwise
//     fails the run, and after the last round the log is asked whether it holds
//     every message that was answered.
//  4. The report says what was measured on: machine, file system, database and
//     the durability settings as read back.
//
// The load client is written for small cost (raw connections, requests built
// beforehand, no allocation per message), since it shares the machine's cores
// with what it measures. It reads what Holdline writes and is no general HTTP
// client.
package bench
