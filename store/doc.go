// Package store is the durable log and everything else that is persisted.
//
// It promises:
//
//  1. Accepted means durable. Append returns an event only after the
//     transaction that holds it has been committed with fsync.
//  2. Order. Each conversation is a gapless log: seq 1, 2, 3 …; commits become
//     visible in seq order, so a read after N never skips an event that
//     commits later. accepted_at and stamp never fall along a seq.
//  3. Nothing twice. A send repeated with the same client_id makes one event,
//     whatever node or batch it comes through, without expiry.
//  4. Permission comes from the rows. Session, user and membership are checked
//     inside the transaction, after its locks; never from a cache.
//  5. Every call is answered: on a commit of unknown outcome with
//     CodeOutcomeUnknown, under overload with CodeOverloaded.
//  6. Every committed event is handed to the feed once, before its caller is
//     answered. What one transaction holds comes in the order of seq. Two
//     transactions that commit side by side (a batch and a change of members,
//     on PostgreSQL) may come in either order: whoever is fed takes only the
//     next seq, and reads what is missing.
//
// There is no order across conversations.
package store
