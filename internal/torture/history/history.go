package history

// History is everything recorded in one run. It is not safe for concurrent
// use: let each client keep its own operations and readers, and join them when
// all have stopped.
type History struct {
	Run           Run
	Users         []User
	Conversations []Conversation
	Operations    []Operation
	Readers       []Reader
}

// Run says what kind of run it was.
type Run struct {
	Seed int64 `json:"seed"`
	// Servers is what was tested, in words.
	Servers string `json:"servers,omitempty"`
	// Started is the wall clock at time 0, RFC 3339.
	Started string `json:"started,omitempty"`
	// Epochs are the names of the database's lives, in the order they were
	// seen in; one entry for each change, the first one included.
	Epochs []Epoch `json:"epochs,omitempty"`
	// Faults is what was done to the servers and the clients' connections. It
	// is for the reader of a report; no verdict depends on it.
	Faults []Fault `json:"faults,omitempty"`
}

// Epoch is one life of the database.
type Epoch struct {
	// At is when its name was first seen, in ns.
	At   int64  `json:"at"`
	Name string `json:"name"`
}

// Fault is one thing that was done to the system under test.
type Fault struct {
	Begin int64 `json:"begin"`
	// End is when it was over, 0 if that is not known.
	End  int64  `json:"end,omitempty"`
	What string `json:"what"`
}

// User is one account of the run.
type User struct {
	ID     string `json:"id"`
	Handle string `json:"handle"`
	// ReceiptsOff says that this user turned read receipts off at some time
	// of the run, so what others see of their reading cannot be compared.
	ReceiptsOff bool `json:"receipts_off,omitempty"`
}

// Conversation is one conversation as it was when everything was over.
type Conversation struct {
	ID string `json:"id"`
	// Kind is direct or group; History is joined or all (empty: joined).
	Kind    string `json:"kind"`
	History string `json:"history,omitempty"`
	// Reader is the id of the user who read Log: a member from seq 1 to the
	// end, so that nothing of it is hidden.
	Reader string `json:"reader"`
	// ReadAt is when the first request for Log began, in ns.
	ReadAt int64 `json:"read_at"`
	// Log is the whole log from seq 1, read with GET …/events.
	Log []Event `json:"-"`
	// Members is the answer of GET …/members.
	Members []Member `json:"members,omitempty"`
	// Receipts are the final watermarks of those who were members at the end,
	// each read by the member in question (GET /v1/conversations/{id}), after
	// the last ack and hand-back of the run was answered and had settled.
	Receipts []Receipt `json:"receipts,omitempty"`
}

// Member is one entry of a conversation's list of members.
type Member struct {
	User    string `json:"user"`
	Role    string `json:"role"`
	FromSeq int64  `json:"from_seq"`
}

// Event is an entry of a log, as the API shows it. What a form of reading does
// not carry stays empty.
type Event struct {
	Conversation string `json:"conversation,omitempty"`
	Seq          int64  `json:"seq"`
	// Through is the last seq that a hidden event stands for, 0 if it has none.
	Through  int64  `json:"through,omitempty"`
	Type     string `json:"type"`
	Sender   string `json:"sender,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	// Text is the message's text, or Digest of it; the same in the whole History.
	Text    string `json:"text,omitempty"`
	ReplyTo int64  `json:"reply_to,omitempty"`
	// AcceptedAt is as the server wrote it, RFC 3339 in UTC with milliseconds.
	AcceptedAt string `json:"accepted_at,omitempty"`
	// User, Action and Role are those of a member event.
	User   string `json:"user,omitempty"`
	Action string `json:"action,omitempty"`
	Role   string `json:"role,omitempty"`
	Title  string `json:"title,omitempty"`
	// Kind and Members are those of a created event.
	Kind    string   `json:"kind,omitempty"`
	Members []string `json:"members,omitempty"`
}

// Receipt is how far one member has got in one conversation.
type Receipt struct {
	Conversation string `json:"conversation"`
	User         string `json:"user"`
	Delivered    int64  `json:"delivered"`
	Read         int64  `json:"read"`
	// DeliveredAt and ReadAt are as the server wrote them; empty if it did not.
	DeliveredAt string `json:"delivered_at,omitempty"`
	ReadAt      string `json:"read_at,omitempty"`
}
