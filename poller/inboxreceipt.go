package poller

import (
	"strconv"

	"holdline/store"
)

// Receipt is how far one member has got in a conversation, encoded once for
// all inboxes: with and without what they have read.
type Receipt struct {
	conversation, user store.ID
	shown, own         []byte // JSON; own is for the member's own inboxes
}

// receiptKey identifies the receipts of which only the latest counts.
type receiptKey struct{ conversation, user store.ID }

func newReceipt(m *store.WatermarkMove) *Receipt {
	r := &Receipt{conversation: m.ConversationID, user: m.UserID}
	r.own = appendReceipt(nil, m, true)
	if r.shown = r.own; m.ReadHidden {
		r.shown = appendReceipt(nil, m, false)
	}
	return r
}

// AppendReceipt appends a receipt as a viewer may see it.
func AppendReceipt(dst []byte, m *store.WatermarkMove, viewer store.ID) []byte {
	return appendReceipt(dst, m, !m.ReadHidden || m.UserID == viewer)
}

func appendReceipt(dst []byte, m *store.WatermarkMove, read bool) []byte {
	dst = append(dst, `{"conversation_id":"`...)
	dst = m.ConversationID.Append(dst)
	dst = append(dst, `","user_id":"`...)
	dst = m.UserID.Append(dst)
	dst = append(dst, `","delivered_seq":`...)
	dst = strconv.AppendInt(dst, m.DeliveredSeq, 10)
	seq, at := m.ReadSeq, m.ReadAt
	if !read {
		seq, at = 0, 0
	}
	dst = append(dst, `,"read_seq":`...)
	dst = strconv.AppendInt(dst, seq, 10)
	appendTime := func(name string, at store.Millis) {
		if at == 0 {
			return
		}
		dst = append(dst, `,"`+name+`":"`...)
		dst = at.Append(dst)
		dst = append(dst, '"')
	}
	appendTime("delivered_at", m.DeliveredAt)
	appendTime("read_at", at)
	return append(dst, '}')
}

// AppendJSON appends the receipt as a viewer may see it.
func (r *Receipt) AppendJSON(dst []byte, viewer store.ID) []byte {
	if r.user == viewer {
		return append(dst, r.own...)
	}
	return append(dst, r.shown...)
}
