package api

import (
	"time"

	"holdline/poller"
	"holdline/store"
)

// inboxSource is an inbox as a stream gives it.
type inboxSource struct {
	*poller.Inbox
	user  store.ID
	first []byte // the snapshot of a first connect, until it is given
}

func (s *inboxSource) begin(st *stream) []byte {
	snapshot := s.first
	s.first = nil
	switch {
	case snapshot == nil:
		return nil
	case st.text:
		return s.appendCursorLine(nil)
	}
	b := append([]byte("event: snapshot\ndata: "), snapshot...)
	b = append(b, "\nid: "...)
	b = s.AppendCursor(b)
	return append(b, "\n\n"...)
}

func (s *inboxSource) heartbeat(dst []byte) []byte {
	return appendHeartbeat(dst, 0, 0, false, time.Now())
}

func (s *inboxSource) removed() bool { return false }

func (s *inboxSource) goal() int64 { return 0 }

func (s *inboxSource) reached(int64) bool { return !s.More() }

func (s *inboxSource) reset() error { return inboxReset("") }

func (s *inboxSource) give(st *stream) (wrote bool, err error) {
	b := inboxBatches.Get().(*inboxBuffer)
	defer b.release()
	err = s.Read(st.server.live.ctx, &b.InboxBatch, batchEvents, batchBytes, !st.text)
	if b.empty() || st.text && len(b.Events) == 0 {
		return false, err
	}
	b.body = b.body[:0]
	if st.text {
		b.body = st.server.appendInboxLines(b.body, &b.InboxBatch)
		b.body = s.appendCursorLine(b.body)
		st.write(b.body)
		return true, err
	}
	for _, r := range b.Receipts {
		b.body = append(b.body, "event: receipt\ndata: "...)
		b.body = r.AppendJSON(b.body, s.user)
		b.body = append(b.body, "\n\n"...)
	}
	for _, e := range b.Events {
		b.body = e.AppendWithID(b.body, e.Cursor)
	}
	st.write(b.body)
	return true, err
}

func (s *inboxSource) appendCursorLine(dst []byte) []byte {
	dst = append(dst, "# cursor: "...)
	dst = s.AppendCursor(dst)
	return append(dst, '\n')
}
