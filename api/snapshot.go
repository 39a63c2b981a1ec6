package api

import (
	"slices"

	"github.com/go-json-experiment/json"

	"holdline/poller"
	"holdline/store"
)

// inboxSnapshot is what to draw a screen from.
type inboxSnapshot struct {
	conversationList
	Receipts   []jsonText `json:"receipts"`
	receiptsOf []string   // the conversation of each
}

// jsonText is JSON as it goes out.
type jsonText []byte

// MarshalJSON returns the text itself.
func (t jsonText) MarshalJSON() ([]byte, error) { return t, nil }

// snapshot is what a first connect shows. The inbox must be open: what it gives
// from now on goes on from here.
func (s *Server) snapshot(c *call, in *poller.Inbox) (*inboxSnapshot, error) {
	list, err := s.listConversations(c, 0, maxSnapshot)
	if err != nil {
		return nil, err
	}
	snapshot := &inboxSnapshot{conversationList: list, Receipts: []jsonText{}}
	ids := make([]store.ID, len(list.Conversations))
	for i, v := range list.Conversations {
		ids[i], _ = store.ParseID(v.Id)
	}
	moves, err := s.store.WatermarksIn(c.ctx, ids)
	in.Showed(moves)
	for i := range moves {
		snapshot.Receipts = append(snapshot.Receipts, poller.AppendReceipt(nil, &moves[i], c.who.User.ID))
		snapshot.receiptsOf = append(snapshot.receiptsOf, moves[i].ConversationID.String())
	}
	return snapshot, err
}

// maxSnapshotBytes bounds a snapshot of which no bound is asked for.
const maxSnapshotBytes = 2 << 20

// marshal writes the snapshot in at most room bytes (0: maxSnapshotBytes), but that
// of one without conversations. The last message of the first conversation is cut to
// fit; the conversations that do not fit are left to GET /v1/conversations.
func (v *inboxSnapshot) marshal(room int) ([]byte, error) {
	if room == 0 {
		room = maxSnapshotBytes
		if whole, err := json.Marshal(v, encoding); err != nil || len(whole) <= room {
			return whole, err
		}
	}
	used := len(`{"conversations":[],"more":false,"next":"4Jx0aQ7bTz1","receipts":[]}`)
	receipts := map[string][]jsonText{}
	for i, id := range v.receiptsOf {
		receipts[id] = append(receipts[id], v.Receipts[i])
	}
	kept := inboxSnapshot{conversationList: conversationList{Conversations: []conversationView{}, More: v.More, Next: v.Next}, Receipts: []jsonText{}}
	for i, conversation := range v.Conversations {
		size := 0
		for _, r := range receipts[conversation.Id] {
			size += len(r) + len(",")
		}
		text, err := json.Marshal(conversation, encoding)
		if err != nil {
			return nil, err
		}
		size += len(text) + len(",")
		if over := used + size - room; over > 0 && i == 0 && conversation.LastMessage != nil {
			whole := len(conversation.LastMessage)
			conversation.LastMessage = cutBehind(slices.Clone(conversation.LastMessage), 0, max(1, whole-over))
			size -= whole - len(conversation.LastMessage)
		}
		if used+size > room {
			kept.More, kept.Next = true, ""
			if i > 0 {
				kept.Next = kept.Conversations[i-1].Id
			}
			break
		}
		used += size
		kept.Conversations = append(kept.Conversations, conversation)
		kept.Receipts = append(kept.Receipts, receipts[conversation.Id]...)
	}
	return json.Marshal(&kept, encoding)
}
