package api

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"holdline/internal/eventjson"
	"holdline/store"
)

// conversationView is the contract's Conversation, with its last message as
// the bytes that the log has for it.
type conversationView struct {
	Conversation
	LastMessage jsontext.Value `json:"last_message,omitzero"`
}

type conversationList struct {
	Conversations []conversationView `json:"conversations"`
	More          bool               `json:"more"`
	Next          string             `json:"next,omitzero"`
}

// CreateConversation makes a conversation or finds the one that exists.
func (s *Server) CreateConversation(ec echo.Context) error {
	c := callOf(ec)
	var body NewConversation
	if err := s.bind(c, &body); err != nil {
		return err
	}
	if err := checkLine("title", body.Title); err != nil {
		return err
	}
	conversation, created, err := s.store.CreateConversation(c.ctx, store.NewConversation{
		Actor:    c.actor(),
		Kind:     string(body.Kind),
		Title:    body.Title,
		Members:  body.Members,
		ClientID: body.ClientId,
		History:  string(body.History),
	})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return s.answer(c, status, c.conversationView(conversation))
}

// ListConversations lists the caller's conversations, a page at a time.
func (s *Server) ListConversations(ec echo.Context, params ListConversationsParams) error {
	c := callOf(ec)
	list, err := s.listConversations(c, pageAfter(params.After), pageLimit(params.Limit))
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusOK, list)
}

func (s *Server) listConversations(c *call, after store.ID, limit int) (conversationList, error) {
	found, more, err := s.store.Conversations(c.ctx, c.who.User.ID, after, limit)
	if err != nil {
		return conversationList{}, err
	}
	list := conversationList{Conversations: make([]conversationView, 0, len(found)), More: more}
	size := 0
	for _, conversation := range found {
		// Text that is longer in JSON ends the page sooner.
		if size > store.MaxPageBytes {
			list.More = true
			break
		}
		view := c.conversationView(conversation)
		size += len(view.LastMessage)
		list.Conversations = append(list.Conversations, view)
	}
	if list.More {
		list.Next = list.Conversations[len(list.Conversations)-1].Id
	}
	return list, nil
}

// GetConversation answers one conversation.
func (s *Server) GetConversation(ec echo.Context, conversationID ConversationId) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	return s.answerConversation(c, id)
}

// UpdateConversation renames a group.
func (s *Server) UpdateConversation(ec echo.Context, conversationID ConversationId) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	var body ConversationPatch
	if err := s.bind(c, &body); err != nil {
		return err
	}
	if err := checkLine("title", body.Title); err != nil {
		return err
	}
	if _, _, err := s.store.SetTitle(c.ctx, c.actor(), id, body.Title); err != nil {
		return err
	}
	err = s.answerConversation(c, id)
	if store.CodeOf(err) == store.CodeUnavailable {
		// A plain `unavailable` would say that nothing was stored.
		return &store.Error{Code: store.CodeOutcomeUnknown, Message: "the title is set, but the conversation could not be read back; get it to see", Err: err}
	}
	return err
}

func (s *Server) answerConversation(c *call, id store.ID) error {
	conversation, err := s.store.Conversation(c.ctx, c.who.User.ID, id)
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusOK, c.conversationView(conversation))
}

func (c *call) conversationView(v store.Conversation) conversationView {
	view := conversationView{Conversation: Conversation{
		Id:           v.ID.String(),
		Kind:         v.Kind,
		Title:        v.Title,
		History:      v.History,
		CreatedAt:    v.CreatedAt.Time(),
		CreatorId:    v.CreatorID.String(),
		Role:         v.Role,
		FirstSeq:     v.FirstSeq,
		LastSeq:      v.LastSeq,
		DeliveredSeq: v.DeliveredSeq,
		ReadSeq:      v.ReadSeq,
		Unread:       v.Unread,
	}}
	if v.LastMessage != nil {
		view.LastMessage = c.eventView(v.LastMessage)
	}
	return view
}

// eventView writes an event as the caller may see it: its client_id is for its
// own sender only.
func (c *call) eventView(e *store.Event) jsontext.Value {
	return eventjson.Append(nil, e, e.SenderID == c.who.User.ID)
}

// pageLimit is the limit of a page; 0 stands for an absent parameter.
func pageLimit(limit int) int {
	if limit == 0 {
		return DefaultPageLimit
	}
	return limit
}

// pageAfter reads the keyset position of a page. The contract's pattern has
// been checked; what still names nothing lies after everything.
func pageAfter(after string) store.ID {
	if after == "" {
		return 0
	}
	id, ok := store.ParseID(after)
	if !ok {
		return 1<<63 - 1
	}
	return id
}
