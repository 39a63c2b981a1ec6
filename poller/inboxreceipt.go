package poller

import (
	"strconv"
	"sync"
	"time"

	"holdline/store"
)

// Receipt is how far one member has got in a conversation, encoded once for
// all inboxes: with and without what they have read.
type Receipt struct {
	receiptKey
	delivered, read int64
	stamp           int64
	hidden          bool   // what they have read is shown to nobody else
	shown, own      []byte // JSON; own is for the member's own inboxes
}

// receiptKey identifies the receipts of which only the latest counts.
type receiptKey struct{ conversation, user store.ID }

// receiptBook knows the latest receipts that this node has given lately. They
// are read by several at once, and who has read earlier may be later to give;
// nobody is to see one go back.
type receiptBook struct {
	mu     sync.Mutex
	epoch  string // of the log that they are of
	latest map[receiptKey]notedReceipt
}

type notedReceipt struct {
	*Receipt
	at   time.Time
	told bool // to all inboxes that were open
}

// bookAge is how long a receipt is remembered: longer than a read can take.
const bookAge = 2 * readTimeout

func (b *receiptBook) init() { b.latest = make(map[receiptKey]notedReceipt) }

// restart forgets everything: what was far in another epoch may be gone.
func (b *receiptBook) restart(epoch string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch = epoch
	clear(b.latest)
}

// note returns the receipt of a move, or a later one that is known. A move that
// was read in another epoch is not kept.
func (b *receiptBook) note(m *store.WatermarkMove, epoch string) *Receipt {
	if r, _ := b.tell(m, epoch, false); r != nil {
		return r
	}
	return newReceipt(m)
}

// tell is note for a receipt that goes to all inboxes now, if all; news is
// false when the same one did before. There is none for a move of another epoch.
func (b *receiptBook) tell(m *store.WatermarkMove, epoch string, all bool) (r *Receipt, news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if epoch != b.epoch {
		return nil, false
	}
	key := receiptKey{m.ConversationID, m.UserID}
	known, ok := b.latest[key]
	if !ok || m.DeliveredSeq > known.delivered || m.ReadSeq > known.read || m.Stamp > known.stamp || known.changed(m, all) {
		known = notedReceipt{Receipt: newReceipt(m)}
	}
	news = !known.told
	known.at, known.told = time.Now(), known.told || all
	b.latest[key] = known
	return known.Receipt, news
}

// changed reports whether the same move is now one of somebody who has begun to
// hide what they read, or who shows it again. What is told to all may have been
// read a while ago: then only the hiding is believed.
func (r *Receipt) changed(m *store.WatermarkMove, all bool) bool {
	same := m.DeliveredSeq == r.delivered && m.ReadSeq == r.read && m.Stamp == r.stamp
	return same && m.ReadHidden != r.hidden && (m.ReadHidden || !all)
}

// newest returns the latest that is known in a receipt's place.
func (b *receiptBook) newest(r *Receipt) *Receipt {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.latest[r.receiptKey]; ok {
		return known.Receipt
	}
	return r
}

// forget drops what is old enough.
func (b *receiptBook) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, known := range b.latest {
		if time.Since(known.at) > bookAge {
			delete(b.latest, key)
		}
	}
}

func newReceipt(m *store.WatermarkMove) *Receipt {
	r := &Receipt{receiptKey: receiptKey{m.ConversationID, m.UserID}, delivered: m.DeliveredSeq, read: m.ReadSeq, stamp: m.Stamp, hidden: m.ReadHidden}
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
