package torture

import (
	"encoding/json"

	"holdline/internal/torture/history"
)

// wireEvent is an event as the API writes it.
type wireEvent struct {
	ConversationID string   `json:"conversation_id"`
	Seq            int64    `json:"seq"`
	ThroughSeq     int64    `json:"through_seq"`
	Type           string   `json:"type"`
	SenderID       string   `json:"sender_id"`
	ClientID       string   `json:"client_id"`
	Text           string   `json:"text"`
	ReplyTo        int64    `json:"reply_to"`
	AcceptedAt     string   `json:"accepted_at"`
	UserID         string   `json:"user_id"`
	Action         string   `json:"action"`
	Role           string   `json:"role"`
	Title          string   `json:"title"`
	Kind           string   `json:"kind"`
	Members        []string `json:"members"`
}

func (e *wireEvent) history() history.Event {
	return history.Event{
		Conversation: e.ConversationID, Seq: e.Seq, Through: e.ThroughSeq, Type: e.Type, Sender: e.SenderID, ClientID: e.ClientID,
		Text: history.Digest(e.Text), ReplyTo: e.ReplyTo, AcceptedAt: e.AcceptedAt, User: e.UserID, Action: e.Action, Role: e.Role,
		Title: e.Title, Kind: e.Kind, Members: e.Members,
	}
}

func historyEvents(all []wireEvent) []history.Event {
	events := make([]history.Event, len(all))
	for i := range all {
		events[i] = all[i].history()
	}
	return events
}

// wirePage is a page of a log.
type wirePage struct {
	Events  []wireEvent `json:"events"`
	Cursor  string      `json:"cursor"`
	More    bool        `json:"more"`
	LastSeq int64       `json:"last_seq"`
}

// head is the highest seq that the page proves.
func (p *wirePage) head() int64 {
	head := p.LastSeq
	if n := len(p.Events); n > 0 {
		head = max(head, p.Events[n-1].Seq, p.Events[n-1].ThroughSeq)
	}
	return head
}

// wireConversation is a conversation as one member is shown it.
type wireConversation struct {
	ID           string `json:"id"`
	Kind         string `json:"kind"`
	History      string `json:"history"`
	CreatorID    string `json:"creator_id"`
	FirstSeq     int64  `json:"first_seq"`
	LastSeq      int64  `json:"last_seq"`
	DeliveredSeq int64  `json:"delivered_seq"`
	ReadSeq      int64  `json:"read_seq"`
	Unread       int64  `json:"unread"`
}

func (c *wireConversation) view() *history.View {
	return &history.View{FirstSeq: c.FirstSeq, LastSeq: c.LastSeq, DeliveredSeq: c.DeliveredSeq, ReadSeq: c.ReadSeq, Unread: c.Unread}
}

// wireList is a page of conversations.
type wireList struct {
	Conversations []wireConversation `json:"conversations"`
	More          bool               `json:"more"`
	Next          string             `json:"next"`
}

// wireReceipt is a watermark in an inbox.
type wireReceipt struct {
	ConversationID string `json:"conversation_id"`
	UserID         string `json:"user_id"`
	DeliveredSeq   int64  `json:"delivered_seq"`
	ReadSeq        int64  `json:"read_seq"`
	DeliveredAt    string `json:"delivered_at"`
	ReadAt         string `json:"read_at"`
}

func (r *wireReceipt) history() history.Receipt {
	return history.Receipt{
		Conversation: r.ConversationID, User: r.UserID, Delivered: r.DeliveredSeq, Read: r.ReadSeq, DeliveredAt: r.DeliveredAt, ReadAt: r.ReadAt,
	}
}

// wireSnapshot is what a first connect to an inbox is given.
type wireSnapshot struct {
	wireList
	Receipts []wireReceipt `json:"receipts"`
}

// wireInbox is an answer of the inbox.
type wireInbox struct {
	Events   []wireEvent   `json:"events"`
	Receipts []wireReceipt `json:"receipts"`
	Cursor   string        `json:"cursor"`
	More     bool          `json:"more"`
	Snapshot *wireSnapshot `json:"snapshot"`
}

// problemCode is the code in the JSON of a problem; empty if there is none.
func problemCode(data []byte) string {
	var p struct{ Code string }
	_ = json.Unmarshal(data, &p) // then it has none
	return p.Code
}
