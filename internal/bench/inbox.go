package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// inboxStreamRequest asks for an inbox behind a cursor, for as long as it comes.
func inboxStreamRequest(addr, token, cursor string) []byte {
	return fmt.Appendf(nil, "GET /v1/inbox/stream?cursor=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Accept: text/event-stream\r\n\r\n", cursor, addr, token)
}

// inboxRequest asks for a page of an inbox, waiting for so many seconds.
func inboxRequest(addr, token, cursor string, wait int) []byte {
	return fmt.Appendf(nil, "GET /v1/inbox?cursor=%s&wait=%d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", cursor, wait, addr, token)
}

// eventsRequest asks for a page of one conversation.
func eventsRequest(addr, token, conversation string, after int64) []byte {
	return fmt.Appendf(nil, "GET /v1/conversations/%s/events?after=%d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", conversation, after, addr, token)
}

// firstCursor connects for the first time and returns the cursor.
func firstCursor(ctx context.Context, addr string, who account) (string, error) {
	var out struct{ Cursor string }
	err := call(ctx, addr, "GET", "/v1/inbox", who.token, nil, &out)
	if err == nil && out.Cursor == "" {
		err = fmt.Errorf("the first answer of %s's inbox has no cursor", who.handle)
	}
	return out.Cursor, err
}

// firstCursors is firstCursor for many.
func firstCursors(ctx context.Context, addr string, people []person) ([]string, error) {
	cursors := make([]string, len(people))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(setUpAtOnce)
	for i := range people {
		g.Go(func() (err error) {
			cursors[i], err = firstCursor(ctx, addr, people[i].account)
			return err
		})
	}
	return cursors, g.Wait()
}

// inboxPage is an answer of the inbox, or of one conversation's events.
type inboxPage struct {
	Events []struct {
		ConversationID string `json:"conversation_id"`
		Seq            int64  `json:"seq"`
	} `json:"events"`
	Cursor string `json:"cursor"`
	More   bool   `json:"more"`
}

func parsePage(body []byte) (inboxPage, error) {
	var p inboxPage
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("a page of the inbox is no JSON: %w", err)
	}
	if p.Cursor == "" {
		return p, fmt.Errorf("a page of the inbox has no cursor: %.200s", body)
	}
	return p, nil
}

// page makes a request on w whose answer must be a page.
func page(w *wire, request []byte) (inboxPage, error) {
	status, body, err := w.do(request)
	if err != nil {
		return inboxPage{}, err
	}
	if status != 200 {
		return inboxPage{}, fmt.Errorf("a page answered %d, not 200: %s", status, body)
	}
	return parsePage(body)
}

var conversationField = []byte(`"conversation_id":"`)

// inboxFrame is what one frame of an inbox's stream says of an event. The
// slices are parts of the frame.
type inboxFrame struct {
	conversation []byte
	seq          int64
	cursor       []byte
}

// parseInboxFrame reads the frame of an event. Frames without an id (receipts,
// heartbeats) and snapshots, which have no seq of their own, are no events: ok
// is false.
func parseInboxFrame(frame []byte) (f inboxFrame, ok bool) {
	at := bytes.LastIndex(frame, idField)
	if at < 0 || bytes.HasPrefix(frame, []byte("event: snapshot\n")) {
		return f, false
	}
	f.cursor = bytes.TrimSpace(frame[at+len(idField):])
	at = bytes.Index(frame, conversationField)
	if at < 0 || len(frame) < at+len(conversationField)+idChars {
		return f, false
	}
	f.conversation = frame[at+len(conversationField):][:idChars]
	seq, err := bodySeq(frame)
	f.seq = seq
	return f, err == nil
}
