package history

import (
	"crypto/sha256"
	"encoding/hex"
)

// Form is the way a Reader reads.
type Form string

// The forms. Those of the inbox have no Conversation.
const (
	Stream      Form = "stream"       // …/stream as server-sent events
	Poll        Form = "poll"         // …/events, with or without wait
	Text        Form = "text"         // …/events or …/stream as lines of text
	InboxStream Form = "inbox-stream" // /v1/inbox/stream as server-sent events
	InboxPoll   Form = "inbox-poll"   // /v1/inbox
	InboxText   Form = "inbox-text"   // either of them as lines of text
)

// Inbox reports whether the form follows all conversations of a user.
func (f Form) Inbox() bool {
	return f == InboxStream || f == InboxPoll || f == InboxText
}

// Reader is one chain of cursors and all that it was given.
type Reader struct {
	// ID is unique in the History.
	ID     string `json:"id"`
	Client string `json:"client"`
	User   string `json:"user"`
	Form   Form   `json:"form"`
	// Conversation is empty for an inbox.
	Conversation string `json:"conversation,omitempty"`
	// Begin is when the first request of the chain began, in ns.
	Begin int64  `json:"begin"`
	Start Start  `json:"start"`
	Steps []Step `json:"-"`
	// Complete says that after everything that writes had stopped, the chain was
	// followed until there was certainly nothing more: to the head of the log, or
	// in an inbox until answers stayed empty for longer than a lost hint costs.
	// A chain that ended by its user's removal is complete too.
	Complete bool `json:"complete,omitempty"`
	// ReceiptsComplete says the same of receipts, after the final watermarks of
	// the conversations had been read. For inboxes alone.
	ReceiptsComplete bool `json:"receipts_complete,omitempty"`
}

// From is the place that a chain starts from.
type From string

// The places to start from.
const (
	// FromSeq is a bare seq, Start.After; 0 is the beginning of what the user
	// may read.
	FromSeq From = "seq"
	// FromStart and FromNow are the two first connects of an inbox.
	FromStart From = "start"
	FromNow   From = "now"
	// FromReader is a cursor of another chain: that of Start.Reader once it had
	// got its first Start.Steps steps.
	FromReader From = "reader"
)

// Start says where a chain starts.
type Start struct {
	From  From  `json:"from"`
	After int64 `json:"after,omitempty"`
	// Snapshot is the last_seq of each conversation in the snapshot of FromNow,
	// pages beyond the first included. The snapshot's receipts are steps.
	Snapshot map[string]int64 `json:"snapshot,omitempty"`
	Reader   string           `json:"reader,omitempty"`
	Steps    int              `json:"steps,omitempty"`
}

// Step is one thing that happened along a chain: exactly one of Event, Receipt,
// Request and Ending is set.
type Step struct {
	// At is when it happened: an event or a receipt had been read whole, a
	// request was about to be sent. In ns, never falling along a chain.
	At      int64    `json:"at"`
	Event   *Event   `json:"event,omitempty"`
	Receipt *Receipt `json:"receipt,omitempty"`
	Request *Request `json:"request,omitempty"`
	Ending  *Ending  `json:"ending,omitempty"`
}

// Request says that the client asked on with a cursor. Every request of a chain
// but the first is a step of it; the first is one if it hands back the cursor
// of another chain.
type Request struct {
	// Covers is how many of the chain's steps came before the cursor that was
	// used: usually all of them. If it is fewer, the steps since then are given
	// up, and what they held has to come again.
	Covers int `json:"covers"`
	// Cursor says that a cursor made by the server was handed back, which acks
	// delivery of what it covers. A bare seq acks nothing.
	Cursor bool   `json:"cursor,omitempty"`
	Node   string `json:"node,omitempty"`
	// Sent is the cursor itself. It is for who looks into a failure; no verdict
	// depends on it.
	Sent string `json:"sent,omitempty"`
}

// Ending says that the server refused to go on along this chain, by a status or
// by event: reset or event: end. Connections that only broke are not noted.
type Ending struct {
	// Code is the problem's code, for example cursor_reset or not_found.
	Code string `json:"code"`
}

// digestAbove is the length in bytes up to which a text is kept as it is.
const digestAbove = 80

// Digest is the form in which a text is recorded: itself up to 80 bytes, beyond
// that its first 24 and a hash.
func Digest(text string) string {
	if len(text) <= digestAbove {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return text[:24] + "…sha256:" + hex.EncodeToString(sum[:12])
}
