package api

import (
	"net/url"

	"holdline/store"
)

// parseQuery reads a query string in full. net/http drops what it cannot
// read, and a parameter that is dropped in silence is a bug found late.
func parseQuery(raw string) (url.Values, error) {
	if raw == "" {
		return nil, nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return query, invalid("", "The query string cannot be read: %v. Separate parameters by & and write a literal %% as %%25.", err)
	}
	return query, nil
}

// checkQuery checks a query against the contract. `t` is ignored: it is for
// getting past caches.
func (op *operation) checkQuery(query url.Values) error {
	for name, values := range query {
		if name == "t" || name == "ticket" && op.ticket {
			continue
		}
		p, known := op.query[name]
		if !known {
			return op.unknownParameter(name)
		}
		if len(values) > 1 {
			return invalid(name, "The query parameter %s is there %d times.", name, len(values))
		}
		if err := p.text(name, values[0]); err != nil {
			return err
		}
	}
	for name, p := range op.query {
		if p.required && !query.Has(name) {
			return invalid(name, "The query parameter %s is missing.", name)
		}
	}
	return nil
}

func (op *operation) unknownParameter(name string) error {
	names := make([]string, 0, len(op.query))
	for known := range op.query {
		names = append(names, known)
	}
	name = shorten(name)
	if len(names) == 0 {
		return invalid(name, "There is no query parameter %q here; this call takes none.", name)
	}
	return invalid(name, "There is no query parameter %q here, only: %s.", name, joinSorted(names))
}

// checkPath checks the parts of the path. What cannot be the name of
// anything is not found.
func (op *operation) checkPath(c *call) error {
	for name, r := range op.path {
		if r.text(name, c.Param(name)) != nil {
			return store.Errorf(store.CodeNotFound, "There is nothing at this address: %s cannot be %q.", name, shorten(c.Param(name)))
		}
	}
	return nil
}
