package api

import (
	"slices"
	"time"

	"holdline/internal/planted"
	"holdline/poller"
	"holdline/store"
)

// conversationSource is a conversation's log as a stream gives it.
type conversationSource struct {
	*poller.Reader
	conversation store.ID
}

func (s *conversationSource) begin(*stream) []byte { return nil }

func (s *conversationSource) heartbeat(dst []byte) []byte {
	last, fresh := s.Head()
	return appendHeartbeat(dst, s.conversation, last, fresh, time.Now())
}

func (s *conversationSource) removed() bool { return s.Removed() }

func (s *conversationSource) goal() int64 {
	head, _ := s.Head()
	return head
}

func (s *conversationSource) reached(goal int64) bool { return s.Position() >= goal }

func (s *conversationSource) reset() error {
	return &resetError{cause: &poller.ResetError{FirstSeq: s.FirstSeq()}}
}

func (s *conversationSource) give(st *stream) (wrote bool, err error) {
	b := batches.Get().(*batch)
	b.frames, err = s.Read(st.server.live.ctx, b.frames[:0], batchEvents, batchBytes)
	if len(b.frames) == 0 {
		b.release()
		return false, err
	}
	if planted.On(planted.ReceiptBeforeFact) {
		st.server.store.NoteDelivered(st.user, s.conversation, s.Position())
	}
	if planted.On(planted.StreamReordered) {
		slices.Reverse(b.frames)
	}
	if len(b.frames) == 1 && !st.text {
		// The usual case: the bytes that all readers share, as they lie in memory.
		if shared := b.frames[0].Shared(); shared != nil {
			b.release()
			st.write(shared)
			return true, err
		}
	}
	b.buf = b.buf[:0]
	var event []byte
	for _, f := range b.frames {
		if st.text {
			event = f.AppendJSON(event[:0])
			b.buf = st.server.appendLine(b.buf, event)
		} else {
			b.buf = f.AppendSSE(b.buf)
		}
	}
	st.write(b.buf)
	b.release()
	return true, err
}
