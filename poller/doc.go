// Package poller is the live plane: it lets readers wait for what a
// conversation's log says next. The database is the truth; everything in here
// can be lost, and a reader then gets the same bytes from the store.
//
// It promises:
//
//  1. A reader gets every event after its position that its viewer may read,
//     once, in the order of seq: from a shared ring, or from the store where
//     the ring has passed it, with the same bytes from both.
//  2. Nothing falls between reading and waiting: a reader is registered first,
//     and then reads the conversation's head.
//  3. A wake-up is only a hint. One that is lost, late, repeated, out of order
//     or false (too high) costs latency or a look at the log, never an event.
//     A sweep finds what was missed within its interval, and as long as it
//     works a reader knows the head as of that interval.
//  4. A slow reader is a position, not a queue: it costs its own few hundred
//     bytes whatever it has not read, and delays nobody. A write that takes
//     longer than its limit is cut.
//  5. A removed member gets everything up to and including their own removal,
//     and nothing above it. What lies between two memberships is one hidden
//     event, so that the log stays gapless for everybody.
//  6. Only a fresh read of the primary calls a cursor ahead of the log.
//  7. Feed costs the store's writer O(1) an event: no I/O, no waiting for a
//     reader. Readers are woken by another goroutine.
//  8. The end of a session ends its readers at once on this node, and within
//     the sweep's interval when another node ended it. A new epoch resets
//     every reader.
//  9. Memory is bounded: rings, cached pages, conversations without readers.
//     A waiting reader costs no goroutine, no timer and no query here.
//  10. Close ends every goroutine of the package, and every waiting reader
//     learns of it.
//
// There is no order across conversations. How a node hears of what another
// node committed is the business of Hints; without any, the sweep does it.
package poller
