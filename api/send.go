package api

import (
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"

	"holdline/internal/eventjson"
	"holdline/store"
)

// answers are the buffers that the answers to sends are written in.
var answers = sync.Pool{New: func() any { return new([]byte) }}

// SendMessage stores a message and answers once it is durable: 201, or 200
// with the same body when this client_id stored it before.
func (s *Server) SendMessage(ec echo.Context, conversationID ConversationId) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	var body NewMessage
	if err := s.bind(c, &body); err != nil {
		return err
	}
	if len(body.Text) > store.MaxTextBytes {
		return invalid("text", "text may have at most %d bytes of UTF-8; this has %d.", store.MaxTextBytes, len(body.Text))
	}
	event, duplicate, err := s.store.Append(c.ctx, store.Send{
		Actor:          c.actor(),
		ConversationID: id,
		ClientID:       body.ClientId,
		Text:           body.Text,
		ReplyTo:        body.ReplyTo,
	})
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if duplicate {
		status = http.StatusOK
	}
	buf := answers.Get().(*[]byte)
	*buf = eventjson.Append((*buf)[:0], &event, true)
	s.write(c, status, "application/json", *buf)
	answers.Put(buf)
	return nil
}
