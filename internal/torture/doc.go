// Package torture runs many clients against servers that are made to suffer,
// records what the clients did and saw, and has the record checked against the
// promises of the server.
//
// A run goes through these steps: a Plan is made from a seed; accounts and
// conversations are set up; the plan is carried out, with faults between client
// and server (netfault), in the servers and in their database; then everything
// calms down, every operation gets a certain outcome as far as the plan wants
// one, every chain of cursors is followed to its end; and the histories
// are checked (check).
//
// The rules for its clients: a client trusts complete frames, lines and answers
// alone; an operation of unknown outcome is repeated with the same client_id,
// unless the plan leaves it unknown on purpose; a cursor is kept as it came.
package torture
