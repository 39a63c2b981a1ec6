package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// stretch is a row of members.
type stretch struct {
	UserID  ID     `db:"user_id"`
	FromSeq int64  `db:"from_seq"`
	ToSeq   int64  `db:"to_seq"`
	JoinSeq int64  `db:"join_seq"`
	Role    string `db:"role"`
}

// logCheck replays one conversation's log and compares it with the rows that
// were derived from it.
type logCheck struct {
	Conversation
	FirstStored    int64  `db:"first_stored"`
	LastAcceptedAt Millis `db:"last_accepted_at"`
	LastStamp      int64  `db:"last_stamp"`

	rows       []stretch // of members, as stored
	previous   Event     // the last one replayed
	title      string
	replayed   map[ID][]stretch // as the log says
	violations []Violation
}

// checkedPage is how many events one read transaction looks at.
const checkedPage = 20_000

func (s *Store) checkLog(ctx context.Context, id ID) ([]Violation, error) {
	c := logCheck{replayed: make(map[ID][]stretch)}
	var page []Event
	err := s.backend.Read(ctx, func(tx *Tx) error {
		if err := tx.Get(&c, `SELECT conversation_id, kind, title, history, creator_id, last_seq, first_seq AS first_stored,
			last_accepted_at, last_stamp FROM conversations WHERE conversation_id = ?`, id); err != nil {
			return err
		}
		if err := tx.Select(&c.rows, `SELECT user_id, from_seq, to_seq, join_seq, role FROM members
			WHERE conversation_id = ? ORDER BY user_id, from_seq`, id); err != nil {
			return err
		}
		var err error
		page, err = readChecked(tx, id, 0, min(checkedPage, c.LastSeq))
		return err
	})
	if err != nil {
		return nil, err
	}
	for from := int64(0); ; {
		for i := range page {
			c.replay(&page[i])
		}
		if from += checkedPage; from >= c.LastSeq {
			break
		}
		// Events are immutable and the head was read: a later snapshot says the same.
		if err := s.backend.Read(ctx, func(tx *Tx) (err error) {
			page, err = readChecked(tx, id, from, min(from+checkedPage, c.LastSeq))
			return err
		}); err != nil {
			return nil, err
		}
	}
	c.compare()
	var doubled []struct {
		SenderID ID    `db:"sender_id"`
		Seq      int64 `db:"seq"`
		Times    int64 `db:"times"`
	}
	err = s.backend.Read(ctx, func(tx *Tx) error {
		return tx.Select(&doubled, `SELECT sender_id, MAX(seq) AS seq, COUNT(*) AS times FROM events
			WHERE conversation_id = ? AND client_id IS NOT NULL GROUP BY sender_id, client_id HAVING COUNT(*) > 1`, id)
	})
	for _, d := range doubled {
		c.violate(RuleClientID, d.SenderID, d.Seq, "the sender's client_id made %d events", d.Times)
	}
	return c.violations, err
}

// readChecked reads the events with after < seq <= to: a range, so that it
// holds all events of a seq that is stored twice.
func readChecked(tx *Tx, id ID, after, to int64) ([]Event, error) {
	var page []Event
	err := tx.Select(&page, `SELECT conversation_id, seq, type, sender_id, target_seq, subject_id, action, accepted_at, stamp, extra
		FROM events WHERE conversation_id = ? AND seq > ? AND seq <= ? ORDER BY seq`, id, after, to)
	return page, err
}

func (c *logCheck) violate(rule Rule, user ID, seq int64, format string, args ...any) {
	told := 0
	for _, v := range c.violations {
		if v.Rule == rule {
			told++
		}
	}
	if told < maxViolations {
		c.violations = append(c.violations, Violation{rule, c.ID, user, seq, fmt.Sprintf(format, args...)})
	}
}

// replay judges one event against those before it, and applies it.
func (c *logCheck) replay(e *Event) {
	switch expected := c.previous.Seq + 1; {
	case c.previous.Seq == 0 && e.Seq != c.FirstStored:
		c.violate(RuleGapless, 0, e.Seq, "the log begins here, not at %d", c.FirstStored)
	case c.previous.Seq != 0 && e.Seq == c.previous.Seq:
		c.violate(RuleUnique, 0, e.Seq, "two events have this seq")
	case c.previous.Seq != 0 && e.Seq != expected:
		c.violate(RuleGapless, 0, e.Seq, "seq %d is missing before it", expected)
	}
	if e.AcceptedAt < c.previous.AcceptedAt {
		c.violate(RuleTimes, 0, e.Seq, "accepted_at %d follows %d", e.AcceptedAt, c.previous.AcceptedAt)
	}
	if e.Stamp < c.previous.Stamp {
		c.violate(RuleStamps, 0, e.Seq, "stamp %d follows %d", e.Stamp, c.previous.Stamp)
	}
	if (e.Seq == 1) != (e.Type == EventCreated) {
		c.violate(RuleCreated, 0, e.Seq, "its type is %q", e.Type)
	}
	if e.TargetSeq < 0 || e.TargetSeq >= e.Seq {
		c.violate(RuleReply, e.SenderID, e.Seq, "it points at seq %d", e.TargetSeq)
	}
	if e.Type != EventCreated && c.current(e.SenderID) == nil {
		c.violate(RuleSender, e.SenderID, e.Seq, "who appended this %s was not a member then", e.Type)
	}
	c.apply(e)
	c.previous = *e
}

// current returns the stretch that user is in so far, nil if none.
func (c *logCheck) current(user ID) *stretch {
	stretches := c.replayed[user]
	if n := len(stretches); n > 0 && stretches[n-1].ToSeq == 0 {
		return &stretches[n-1]
	}
	return nil
}

// said is what Extra can hold.
type said struct {
	Kind    string `json:"kind"`
	Title   string `json:"title"`
	Role    string `json:"role"`
	Members []ID   `json:"members"`
}

func (c *logCheck) apply(e *Event) {
	var extra said
	if e.Extra != "" {
		if err := json.Unmarshal([]byte("{"+e.Extra+"}"), &extra); err != nil {
			c.violate(RuleCreated, e.SenderID, e.Seq, "its extra is not JSON: %v", err)
			return
		}
	}
	switch e.Type {
	case EventCreated:
		if e.SenderID != c.CreatorID || extra.Kind != c.Kind {
			c.violate(RuleCreated, e.SenderID, e.Seq, "it says a %s conversation by %s", extra.Kind, e.SenderID)
		}
		c.title = extra.Title
		for _, user := range extra.Members {
			role := MemberRoleMember
			if c.Kind == KindGroup && user == c.CreatorID {
				role = MemberRoleOwner
			}
			c.replayed[user] = append(c.replayed[user], stretch{user, 1, 0, 1, role})
		}
	case EventTitle:
		c.title = extra.Title
	case EventMember:
		c.applyMember(e, extra.Role)
	}
}

func (c *logCheck) applyMember(e *Event, role string) {
	user, current := e.SubjectID, c.current(e.SubjectID)
	if (current != nil) == (e.Action == MemberAdded) {
		c.violate(RuleMembers, user, e.Seq, "%s, but that fits not what they were before", e.Action)
		return
	}
	switch e.Action {
	case MemberAdded:
		from := e.Seq
		if c.History == HistoryAll {
			from = 1
			if old := c.replayed[user]; len(old) > 0 {
				from = old[len(old)-1].ToSeq + 1
			}
		}
		c.replayed[user] = append(c.replayed[user], stretch{user, from, 0, e.Seq, MemberRoleMember})
	case MemberRemoved, MemberLeft:
		current.ToSeq = e.Seq
	case MemberRole:
		if role == MemberRoleOwner {
			for other := range c.replayed {
				if s := c.current(other); s != nil && s.Role == MemberRoleOwner {
					s.Role = MemberRoleMember
				}
			}
		}
		current.Role = role
	default:
		c.violate(RuleMembers, user, e.Seq, "unknown action %q", e.Action)
	}
}

// compare judges the rows derived from the log, once it is replayed.
func (c *logCheck) compare() {
	last := &c.previous
	if last.Seq != c.LastSeq {
		c.violate(RuleLastSeq, 0, c.LastSeq, "the log ends at %d", last.Seq)
	}
	if last.AcceptedAt != c.LastAcceptedAt {
		c.violate(RuleLastTime, 0, last.Seq, "last_accepted_at is %d, the event's is %d", c.LastAcceptedAt, last.AcceptedAt)
	}
	if last.Stamp != c.LastStamp {
		c.violate(RuleLastStamp, 0, last.Seq, "last_stamp is %d, the event's is %d", c.LastStamp, last.Stamp)
	}
	if c.title != c.Title {
		c.violate(RuleTitle, 0, 0, "the row says %q, the log %q", c.Title, c.title)
	}
	for i, row := range c.rows {
		if row.FromSeq < 1 || row.JoinSeq < row.FromSeq || (row.ToSeq != 0 && row.ToSeq < row.JoinSeq) {
			c.violate(RuleIntervals, row.UserID, row.FromSeq, "the stretch is from %d to %d, joined at %d", row.FromSeq, row.ToSeq, row.JoinSeq)
		}
		if i > 0 && c.rows[i-1].UserID == row.UserID && (c.rows[i-1].ToSeq == 0 || c.rows[i-1].ToSeq >= row.FromSeq) {
			c.violate(RuleIntervals, row.UserID, row.FromSeq, "it overlaps the one before, which ends at %d", c.rows[i-1].ToSeq)
		}
	}
	c.compareMembers()
	c.countOwners()
}

func (c *logCheck) compareMembers() {
	var log []stretch
	for _, stretches := range c.replayed {
		log = append(log, stretches...)
	}
	slices.SortFunc(log, compareStretches)
	rows := slices.Clone(c.rows)
	slices.SortFunc(rows, compareStretches)
	for len(rows) > 0 || len(log) > 0 {
		switch {
		case len(log) == 0 || (len(rows) > 0 && compareStretches(rows[0], log[0]) < 0):
			c.violate(RuleMembers, rows[0].UserID, rows[0].FromSeq, "a stretch that the log does not know")
			rows = rows[1:]
		case len(rows) == 0 || compareStretches(rows[0], log[0]) > 0:
			c.violate(RuleMembers, log[0].UserID, log[0].FromSeq, "the log knows a stretch that has no row")
			log = log[1:]
		default:
			if rows[0] != log[0] {
				c.violate(RuleMembers, rows[0].UserID, rows[0].FromSeq, "the row says %+v, the log %+v", rows[0], log[0])
			}
			rows, log = rows[1:], log[1:]
		}
	}
}

func compareStretches(a, b stretch) int {
	return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.JoinSeq, b.JoinSeq))
}

func (c *logCheck) countOwners() {
	members, owners := 0, 0
	for _, row := range c.rows {
		if row.ToSeq == 0 {
			members++
			if row.Role == MemberRoleOwner {
				owners++
			}
		}
	}
	expected := 0
	if c.Kind == KindGroup && members > 0 {
		expected = 1
	}
	if owners != expected {
		c.violate(RuleOwner, 0, 0, "%d owners among %d members", owners, members)
	}
}
