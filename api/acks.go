package api

import (
	"github.com/labstack/echo/v4"

	"holdline/store"
)

// Acknowledge moves the caller's watermarks. A ticket reads, so it moves
// `delivered` and never `read`.
func (s *Server) Acknowledge(ec echo.Context) error {
	c := callOf(ec)
	var body Acks
	if err := s.bind(c, &body); err != nil {
		return err
	}
	if len(body.Read) > 0 && c.who.Scopes&ScopeWrite == 0 {
		return &store.Error{Code: store.CodeForbidden, Field: "read", Message: "A ticket may move delivered, not read. Use a token for that."}
	}
	delivered, err := watermarks("delivered", body.Delivered)
	if err != nil {
		return err
	}
	read, err := watermarks("read", body.Read)
	if err != nil {
		return err
	}
	if err := s.store.Ack(c.ctx, c.actor(), store.Acks{Delivered: delivered, Read: read}); err != nil {
		return err
	}
	return s.noContent(c)
}

// watermarks reads the ids of a map of seqs.
func watermarks(field string, seqs Watermarks) (map[store.ID]int64, error) {
	out := make(map[store.ID]int64, len(seqs))
	for text, seq := range seqs {
		id, ok := store.ParseID(text)
		if !ok {
			return nil, invalid(field+"["+shorten(text)+"]", "%q in %s is not the id of a conversation.", shorten(text), field)
		}
		out[id] = seq
	}
	return out, nil
}
