package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"holdline/store"
)

// receiptsView is the contract's Receipts, where an empty list of members
// (nobody but the sender) differs from none (too many to name).
type receiptsView struct {
	Receipts
	Members *[]Receipt `json:"members,omitzero"`
}

// GetReceipts answers what has become of one message.
func (s *Server) GetReceipts(ec echo.Context, conversationID ConversationId, seq Seq) error {
	c := callOf(ec)
	id, err := parseID(conversationID, "conversation")
	if err != nil {
		return err
	}
	r, err := s.store.Receipts(c.ctx, c.who.User.ID, id, seq)
	if err != nil {
		return err
	}
	view := receiptsView{Receipts: Receipts{
		AcceptedAt:     r.AcceptedAt.Time(),
		MemberCount:    r.MemberCount,
		DeliveredCount: r.DeliveredCount,
		NotifiedCount:  r.NotifiedCount,
		ReadCount:      r.ReadCount,
	}}
	if r.Members != nil {
		members := make([]Receipt, 0, len(r.Members))
		for _, m := range r.Members {
			members = append(members, Receipt{
				UserId:      m.UserID.String(),
				DeliveredAt: timeOrZero(m.DeliveredAt),
				NotifiedAt:  timeOrZero(m.NotifiedAt),
				ReadAt:      timeOrZero(m.ReadAt),
			})
		}
		view.Members = &members
	}
	return s.answer(c, http.StatusOK, view)
}

// timeOrZero keeps "not yet" the zero time, which the wire leaves out.
func timeOrZero(m store.Millis) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return m.Time()
}
