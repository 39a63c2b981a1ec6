package api

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"holdline/store"
)

type messagePage struct {
	Messages []jsontext.Value `json:"messages"`
	Cursor   string           `json:"cursor"`
	More     bool             `json:"more"`
	FirstSeq int64            `json:"first_seq"`
	LastSeq  int64            `json:"last_seq"`
}

// ListMessages answers a page of the state view.
func (s *Server) ListMessages(ec echo.Context, conversationID ConversationId, params ListMessagesParams) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	if params.Before != 0 && c.QueryParams().Has("after") {
		return invalid("before", "Give either before or after, not both.")
	}
	page, err := s.store.Messages(c.ctx, c.who.User.ID, id, params.Before, params.After, pageLimit(params.Limit))
	if err != nil {
		return err
	}
	out := messagePage{
		Messages: make([]jsontext.Value, 0, len(page.Messages)),
		Cursor:   formatCursor(page.LastSeq, s.store.Epoch()),
		More:     page.More,
		FirstSeq: page.FirstSeq(),
		LastSeq:  page.LastSeq,
	}
	for i := range page.Messages {
		out.Messages = append(out.Messages, c.messageView(&page.Messages[i]))
	}
	return s.answer(c, http.StatusOK, out)
}

// GetMessage answers one message as it is now.
func (s *Server) GetMessage(ec echo.Context, conversationID ConversationId, seq Seq) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	message, err := s.store.Message(c.ctx, c.who.User.ID, id, seq)
	if err != nil {
		return err
	}
	s.write(c, http.StatusOK, "application/json", c.messageView(&message))
	return nil
}

// messageView is the message's event with its state_seq put into the object.
func (c *call) messageView(m *store.Message) jsontext.Value {
	out := c.eventView(&m.Event)
	out = append(out[:len(out)-1], `,"state_seq":`...)
	return append(strconv.AppendInt(out, m.StateSeq, 10), '}')
}

// formatCursor is the cursor of a place in one conversation's log.
func formatCursor(seq int64, epoch string) string {
	return strconv.FormatInt(seq, 10) + "-" + epoch
}
