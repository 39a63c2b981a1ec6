package store

import "context"

// Acks names how far a user has got, by conversation.
type Acks struct {
	Delivered map[ID]int64
	Read      map[ID]int64
}

// Receipt is what one member has done about one message; zero: not yet.
type Receipt struct {
	UserID      ID     `db:"user_id"`
	DeliveredAt Millis `db:"delivered_at"`
	NotifiedAt  Millis `db:"notified_at"`
	ReadAt      Millis `db:"read_at"`
}

// MessageReceipts is the state of one message. Above MaxReceiptMembers current
// members Members is nil and the counts alone are told.
type MessageReceipts struct {
	AcceptedAt                                            Millis
	Members                                               []Receipt
	MemberCount, DeliveredCount, NotifiedCount, ReadCount int64
}

// MaxReceiptMembers is the largest conversation whose receipts name people.
const MaxReceiptMembers = 256

// Ack moves the user's watermarks forward, never back; read implies delivered.
// It returns once they are durable. Conversations the user is not in are
// ignored; a seq beyond a conversation's end is CodeConflict and nothing is
// applied. Moves of one user within a second share a write.
func (s *Store) Ack(ctx context.Context, a Actor, acks Acks) error { panic("h4") }

// NoteDelivered records that the server's own cursor came back for seq:
// delivered, made durable within about a second, never waited for.
func (s *Store) NoteDelivered(user, conversation ID, seq int64) { panic("h4") }

// Receipts returns what each other member has done about a message. CodeNotFound.
func (s *Store) Receipts(ctx context.Context, viewer, conversation ID, seq int64) (MessageReceipts, error) {
	panic("h4")
}
