package api

import (
	"slices"

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

func (s *conversationSource) heartbeat(st *stream, dst []byte) []byte {
	last, fresh := s.Head()
	return st.appendHeartbeat(dst, s.conversation, last, fresh)
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
	if len(b.frames) == 1 && !st.text && st.form == nil {
		// The usual case: the bytes that all readers share, as they lie in memory.
		if shared := b.frames[0].Shared(); shared != nil {
			b.release()
			st.writeShared(shared)
			return true, err
		}
	}
	b.buf = b.buf[:0]
	for _, f := range b.frames {
		switch {
		case st.text:
			b.buf = st.appendLine(b.buf, f, 0)
		case st.form != nil:
			b.buf = st.form.appendFrame(b.buf, f, s.conversation, f.IDLine())
		default:
			b.buf = f.AppendSSE(b.buf)
		}
	}
	st.write(b.buf)
	b.release()
	return true, err
}
