// Package postgres keeps the store in a PostgreSQL database, version 15 or
// later, shared by any number of nodes.
//
// Every write runs inside an explicit transaction under READ COMMITTED, never
// on a request's context: database/sql re-runs autocommit statements after a
// broken connection, and a cancel during COMMIT lies about its outcome.
// Each connection is checked when it opens: fsync and synchronous_commit off
// are refused unless the operator allows them by name.
package postgres
