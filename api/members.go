package api

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"holdline/store"
)

type eventList struct {
	Events []jsontext.Value `json:"events"`
}

// ListMembers lists who is in a conversation, a page at a time.
func (s *Server) ListMembers(ec echo.Context, conversationID ConversationId, params ListMembersParams) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	limit := pageLimit(params.Limit)
	found, err := s.store.Members(c.ctx, c.who.User.ID, id, pageAfter(params.After), limit+1)
	if err != nil {
		return err
	}
	list := MemberList{Members: make([]Member, 0, len(found))}
	for _, m := range found {
		if len(list.Members) == limit {
			list.More = true
			list.Next = list.Members[limit-1].User.Id
			break
		}
		list.Members = append(list.Members, Member{User: userView(m.User), Role: m.MemberRole, FromSeq: m.FromSeq})
	}
	return s.answer(c, http.StatusOK, list)
}

// AddMembers adds people to a group.
func (s *Server) AddMembers(ec echo.Context, conversationID ConversationId) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	var body NewMembers
	if err := s.bind(c, &body); err != nil {
		return err
	}
	events, err := s.store.AddMembers(c.ctx, c.actor(), id, body.Members)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(events) > 0 {
		status = http.StatusCreated
	}
	return s.answerEvents(c, status, events)
}

// RemoveMember removes a person from a group, or lets the caller leave.
func (s *Server) RemoveMember(ec echo.Context, conversationID ConversationId, userID string) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	user := c.who.User.ID
	if userID != "me" {
		if user, err = parseID(userID, "member"); err != nil {
			return err
		}
	}
	events, err := s.store.RemoveMember(c.ctx, c.actor(), id, user)
	if err != nil {
		return err
	}
	return s.answerEvents(c, http.StatusOK, events)
}

func (s *Server) answerEvents(c *call, status int, events []store.Event) error {
	list := eventList{Events: make([]jsontext.Value, 0, len(events))}
	for i := range events {
		list.Events = append(list.Events, c.eventView(&events[i]))
	}
	return s.answer(c, status, list)
}
