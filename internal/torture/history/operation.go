package history

// Kind is what an Operation does.
type Kind string

// The kinds of operations.
const (
	// Send is POST …/messages. Conversation, ClientID, Text, ReplyTo; when OK:
	// Status, Seq and AcceptedAt. Texts should differ between the messages of one
	// user in one conversation: a log as others see it has no client_id, so a send
	// of unknown outcome is found by its text.
	Send Kind = "send"
	// Create is POST /v1/conversations. Members (user ids, as asked for), ClientID;
	// when OK: Status and Conversation.
	Create Kind = "create"
	// Add is POST …/members. Conversation, Members (user ids); when OK: Events.
	Add Kind = "add"
	// Remove is DELETE …/members/{user_id}, and Leave that of oneself.
	// Conversation, Members (the one user id); when OK: Events.
	Remove Kind = "remove"
	Leave  Kind = "leave"
	// Title is PATCH …/conversations/{id}. Conversation, Text (the title asked for).
	Title Kind = "title"
	// Ack is POST /v1/acks. Delivered and Read, by conversation.
	Ack Kind = "ack"
	// State is what a conversation looked like: GET /v1/conversations/{id}, or
	// one entry of a list or of an inbox's snapshot. When OK: State.
	State Kind = "state"
	// Head is a page of the log or an answered long-poll (…/events) at a server
	// that was asked for what is newest. When OK: Seq, the highest seq that the
	// answer proves, which is the larger of its last_seq and its last event's.
	// An inbox's answer is none of these: it may lag by a horizon.
	Head Kind = "head"
	// Receipts is GET …/messages/{seq}/receipts. Conversation, Seq; when OK:
	// Receipts, one for each member named, with Delivered and Read set to Seq
	// where the answer has the time and to 0 where it has not.
	Receipts Kind = "receipts"
)

// Outcome is what the client knows about its operation.
type Outcome string

// The outcomes.
const (
	// OK is a 2xx that arrived whole.
	OK Outcome = "ok"
	// Refused is an answer that says that certainly nothing was done: any 4xx,
	// 507, and 503 other than outcome_unknown.
	Refused Outcome = "refused"
	// Unknown is everything else: no answer, half an answer, a 5xx not named
	// above, an answer of something between client and server.
	Unknown Outcome = "unknown"
)

// Operation is one request and what became of it. Which fields count is said
// at each Kind.
type Operation struct {
	Kind Kind `json:"kind"`
	// Client names the client that did it, User is the id of its user, Node
	// the server that was asked.
	Client string `json:"client"`
	User   string `json:"user"`
	Node   string `json:"node,omitempty"`
	// Begin is before the first byte was sent; End is after the last byte of the
	// answer was read, or when the client gave up. Both in ns.
	Begin   int64   `json:"begin"`
	End     int64   `json:"end"`
	Outcome Outcome `json:"outcome"`
	// Status and Code are those of the answer, 0 and empty if there was none.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`

	Conversation string           `json:"conversation,omitempty"`
	ClientID     string           `json:"client_id,omitempty"`
	Text         string           `json:"text,omitempty"`
	ReplyTo      int64            `json:"reply_to,omitempty"`
	Seq          int64            `json:"seq,omitempty"`
	AcceptedAt   string           `json:"accepted_at,omitempty"`
	Members      []string         `json:"members,omitempty"`
	Events       []Event          `json:"events,omitempty"`
	Delivered    map[string]int64 `json:"delivered,omitempty"`
	Read         map[string]int64 `json:"read,omitempty"`
	State        *View            `json:"state,omitempty"`
	Receipts     []Receipt        `json:"receipts,omitempty"`
}

// View is a conversation as one of its members is shown it.
type View struct {
	FirstSeq     int64 `json:"first_seq"`
	LastSeq      int64 `json:"last_seq"`
	DeliveredSeq int64 `json:"delivered_seq"`
	ReadSeq      int64 `json:"read_seq"`
	Unread       int64 `json:"unread"`
}
