package api

import (
	"holdline/poller"
	"holdline/store"
)

// inboxSource is an inbox as a stream gives it.
type inboxSource struct {
	*poller.Inbox
	user  store.ID
	fresh bool   // a first connect, of which nothing is given yet
	first []byte // its snapshot, which a text reader has no use for
}

func (s *inboxSource) begin(st *stream) []byte {
	snapshot, fresh := s.first, s.fresh
	s.first, s.fresh = nil, false
	switch {
	case !fresh:
		return nil
	case st.text:
		return s.appendCursorLine(nil)
	}
	b := append([]byte("event: snapshot\ndata: "), snapshot...)
	b = append(b, "\nid: "...)
	b = s.AppendCursor(b)
	return append(b, "\n\n"...)
}

func (s *inboxSource) heartbeat(st *stream, dst []byte) []byte {
	if st.form != nil && st.form.unnamed > 0 {
		dst = s.appendID(st, dst)
	}
	return st.appendHeartbeat(dst, 0, 0, false)
}

// appendID appends the id behind everything that was given, in a frame by itself:
// one without data, which moves the reader's cursor and is no event to them.
func (s *inboxSource) appendID(st *stream, dst []byte) []byte {
	st.form.unnamed = 0
	dst = append(dst, "id: "...)
	dst = s.AppendCursor(dst)
	return append(dst, "\n\n"...)
}

func (s *inboxSource) removed() bool { return false }

func (s *inboxSource) goal() int64 { return 0 }

func (s *inboxSource) reached(int64) bool { return !s.More() }

func (s *inboxSource) reset() error { return inboxReset("") }

func (s *inboxSource) give(st *stream) (wrote bool, err error) {
	b := inboxBatches.Get().(*inboxBuffer)
	defer b.release()
	events, cursors := batchEvents, !st.text
	if st.isCompact() && !st.text {
		events, cursors = idEvery-st.form.unnamed, false
	}
	err = s.Read(st.server.live.ctx, &b.InboxBatch, events, batchBytes, cursors)
	if b.silent(st.text) {
		return false, err
	}
	b.body = b.body[:0]
	if st.text {
		for _, e := range b.Events {
			b.body = st.appendLine(b.body, e.Frame, e.Conversation())
		}
		b.body = s.appendCursorLine(b.body)
		st.write(b.body)
		return true, err
	}
	for _, r := range b.Receipts {
		b.body = append(b.body, "event: receipt\ndata: "...)
		if st.isCompact() {
			b.body = r.AppendCompact(b.body, s.user)
		} else {
			b.body = r.AppendJSON(b.body, s.user)
		}
		b.body = append(b.body, "\n\n"...)
		if st.form != nil {
			b.body = st.form.appendNudge(b.body, ":\n")
		}
	}
	s.appendEvents(st, b)
	st.write(b.body)
	return true, err
}

func (s *inboxSource) appendEvents(st *stream, b *inboxBuffer) {
	var id []byte
	for _, e := range b.Events {
		switch {
		case st.form == nil:
			b.body = e.AppendWithID(b.body, e.Cursor)
			continue
		case st.form.compact:
			id = append(id[:0], "\n\n"...)
		default:
			id = append(append(append(id[:0], "\nid: "...), e.Cursor...), "\n\n"...)
		}
		b.body = st.form.appendFrame(b.body, e.Frame, e.Conversation(), id)
	}
	if st.isCompact() {
		if st.form.unnamed += len(b.Events); st.form.unnamed >= idEvery {
			b.body = s.appendID(st, b.body)
		}
	}
}

func (s *inboxSource) appendCursorLine(dst []byte) []byte {
	dst = append(dst, "# cursor: "...)
	dst = s.AppendCursor(dst)
	return append(dst, '\n')
}
