package chat

import (
	"slices"
	"time"

	holdline "holdline/sdk/go"
)

// Message is one that the server has accepted.
type Message struct {
	Seq      int64
	SenderID string
	ClientID string // of the user's own
	Text     string
	At       time.Time
}

// Conversation is one of the user's, as far as this client has got to know it.
type Conversation struct {
	ID       string
	Kind     string
	Title    string // of a group
	LastSeq  int64
	ReadSeq  int64
	Unread   int64
	LastText string
	LastFrom string
	LastAt   time.Time
	Ended    bool // the user is no member any more

	messages []Message // in the order of seq; without a hole once loaded
	loaded   bool
	loading  bool // the newest messages are on their way
	paging   bool // older ones are
	older    bool // the server has more before the first
	members  []string
	marks    map[string]marks // of the other members
}

// marks are how far a member has got.
type marks struct{ delivered, read int64 }

const kindDirect = "direct"

func newConversation(c *holdline.Conversation) *Conversation {
	v := &Conversation{
		ID: c.Id, Kind: c.Kind, Title: c.Title, LastSeq: c.LastSeq, ReadSeq: c.ReadSeq, Unread: c.Unread,
		LastAt: c.CreatedAt, marks: map[string]marks{},
	}
	if m := c.LastMessage; m.Type == "message" {
		v.LastText, v.LastFrom, v.LastAt = m.Text, m.SenderId, m.AcceptedAt
	}
	return v
}

// insert puts a message where its seq says, unless it is there.
func (v *Conversation) insert(m Message) {
	i, found := slices.BinarySearchFunc(v.messages, m.Seq, func(m Message, seq int64) int { return int(m.Seq - seq) })
	if !found {
		v.messages = slices.Insert(v.messages, i, m)
	}
}

// note takes a receipt, and reports whether it moved a mark.
func (v *Conversation) note(userID string, m marks) bool {
	old := v.marks[userID]
	m.delivered, m.read = max(m.delivered, m.read, old.delivered), max(m.read, old.read)
	v.marks[userID] = m
	return m != old
}

// Tick is what has become of a message of the user's own.
type Tick struct {
	Delivered, Read int // by how many of the others
	Others          int // 0: not known, or too many to be told
}

// tickLevel is how far a message has got, of what is told.
type tickLevel int

const (
	accepted tickLevel = iota
	deliveredToSome
	deliveredToAll
	readBySome
	readByAll
)

// level is the furthest that a message has got. Of one other there is no some.
func (t Tick) level() tickLevel {
	switch {
	case t.Others > 0 && t.Read == t.Others:
		return readByAll
	case t.Others > 1 && t.Read > 0:
		return readBySome
	case t.Others > 0 && t.Delivered == t.Others:
		return deliveredToAll
	case t.Delivered > 0:
		return deliveredToSome
	}
	return accepted
}

// tick counts the members who have a message.
func (v *Conversation) tick(seq int64, me string) Tick {
	var t Tick
	for _, id := range v.members {
		if id == me {
			continue
		}
		t.Others++
		if m := v.marks[id]; m.delivered >= seq {
			t.Delivered++
			if m.read >= seq {
				t.Read++
			}
		}
	}
	return t
}

// lastOwn is the newest message of the user's own that is known here; 0 if none is.
func (v *Conversation) lastOwn(me string) int64 {
	for _, m := range slices.Backward(v.messages) {
		if m.SenderID == me {
			return m.Seq
		}
	}
	return 0
}
