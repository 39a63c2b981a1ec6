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
	// The page is the newest of what was asked for, unless it goes forward.
	if out.fit(c.room(messagePageTail), !c.QueryParams().Has("after")) {
		out.More = true
	}
	return s.answer(c, http.StatusOK, out)
}

// messagePageTail is what a page holds at most beside its messages.
const messagePageTail = len(`{"messages":[],"cursor":"1234567890123456789-12345678901234567890","more":false,"first_seq":1234567890123456789,"last_seq":1234567890123456789}`)

// fit leaves out what does not fit into room bytes (0: all does), the oldest or
// the newest, and cuts what does not fit by itself.
func (p *messagePage) fit(room int, keepNewest bool) (leftOut bool) {
	if room == 0 {
		return false
	}
	all, used := p.Messages, 0
	for n := range all {
		i := n
		if keepNewest {
			i = len(all) - 1 - n
		}
		all[i] = cutBehind(all[i], 0, room)
		used += len(all[i]) + len(",")
		if n == 0 || used-len(",") <= room {
			continue
		}
		if p.Messages = all[:i]; keepNewest {
			p.Messages = all[i+1:]
		}
		return true
	}
	return false
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
