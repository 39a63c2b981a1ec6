// Package history holds what the clients of a torture run did and saw: the
// one thing its verdict is made from.
//
// A History is plain data. Its times are nanoseconds since the start of the
// run on the monotonic clock of the one process that ran all clients, so any
// two of them can be compared, whatever happens to the wall clock meanwhile.
// One Operation is one request that a client made once; a send that was
// repeated is several of them with one client_id. One Reader is one chain of
// cursors: everything a client was given by following them, across
// connections and servers. Save writes a History as lines of JSON that a
// person can read, Load reads them back.
package history
