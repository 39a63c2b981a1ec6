// Package sqlite keeps the store in one SQLite file: WAL with synchronous=FULL,
// one writer, many readers that cannot write, checkpoints in the background.
//
// A commit returns after its WAL frames are on disk (fsync). Every pragma is
// read back when a connection opens, since SQLite passes over a misspelt one.
package sqlite
