package store

import "context"

// WithQueryLog makes every portable statement that a read runs under ctx known
// to fn before it runs, with its ? placeholders and arguments. It is how tests
// see the query plans and the number of statements of a call.
func WithQueryLog(ctx context.Context, fn func(query string, args []any)) context.Context {
	return context.WithValue(ctx, queryLogKey{}, fn)
}

type queryLogKey struct{}

// logQuery tells the query log, if there is one.
func (t *Tx) logQuery(query string, args []any) {
	if t.queries != nil {
		t.queries(query, args)
	}
}
