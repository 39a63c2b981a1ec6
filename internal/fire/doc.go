// Package fire shows the promises of the design under fire: the real binary,
// real databases, and things going wrong while many clients send and read. It
// holds tests only, and each of them can fail:
//
//   - Crash: the server is killed (SIGKILL) 20 times while 16 clients send, on
//     SQLite and on PostgreSQL, and PostgreSQL itself is stopped as in a crash.
//     Every answered send is in the log once, at the seq it was answered with.
//   - Sync: a kill cannot show a missing fsync, since the kernel keeps what a
//     dead process wrote. So the system calls of the server are traced, and the
//     flushed position of PostgreSQL's log is looked at after every answer.
//   - Order: 32 senders in one conversation, 8 readers of its stream and 8 that
//     poll, who disconnect at random; on both databases, and on two servers that
//     give each other no hints. All read one and the same sequence. And the sweep
//     alone carries a log to a server that nobody asks.
//   - Slow reader: one that stops reading costs little memory, delays nobody,
//     is cut in the end, and has missed nothing when it comes back.
//   - Removal: who is removed gets everything up to that and nothing above it,
//     on every route and from every server, then and later.
//
// After each test the invariants of the store are checked over the whole
// database.
package fire
