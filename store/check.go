package store

import (
	"context"
	"fmt"
	"strings"
)

// Rule names an invariant of the database.
type Rule string

// The invariants that Check looks at.
const (
	RuleGapless     Rule = "gapless"          // seqs run from first_seq without a gap
	RuleUnique      Rule = "unique"           // no seq twice in a conversation
	RuleCreated     Rule = "created"          // seq 1, and only that, is `created`, and says what the conversation's row says
	RuleLastSeq     Rule = "last_seq"         // a conversation's row knows its head, and nothing is beyond it
	RuleTimes       Rule = "accepted_at"      // accepted_at never falls along a seq
	RuleStamps      Rule = "stamp"            // stamps never fall along a seq
	RuleLastTime    Rule = "last_accepted_at" // the row's last_accepted_at is that of its head
	RuleLastStamp   Rule = "last_stamp"       // the row's last_stamp is that of its head
	RuleClientID    Rule = "client_id"        // one event for a conversation, sender and client_id
	RuleSender      Rule = "sender"           // whoever appended an event was a member then
	RuleReply       Rule = "reply_to"         // what is replied to came before
	RuleTitle       Rule = "title"            // the row's title is that of the latest event that says one
	RuleIntervals   Rule = "intervals"        // a member's stretches are in order and do not overlap
	RuleMembers     Rule = "members"          // stretches and roles are what the log's member events make of them
	RuleOwner       Rule = "owner"            // a group that has members has one owner
	RuleMemberships Rule = "memberships"      // memberships mirrors each latest stretch of members
	RuleSlots       Rule = "slots"            // a slot is one conversation's for ever, below the user's next_slot
	RuleWatermarks  Rule = "watermarks"       // the latest receipt of each kind, read <= delivered <= last_seq
	RuleDirect      Rule = "direct"           // one direct conversation for a pair, with those two members
	RuleHandles     Rule = "handles"          // handles and users name each other
	RuleHorizon     Rule = "horizon"          // no stamp above the horizon, and the horizon is open
	RuleOrphans     Rule = "orphans"          // nothing belongs to a conversation or user that does not exist
)

// Rules are all of them.
var Rules = []Rule{
	RuleGapless, RuleUnique, RuleCreated, RuleLastSeq, RuleTimes, RuleStamps, RuleLastTime, RuleLastStamp,
	RuleClientID, RuleSender, RuleReply, RuleTitle, RuleIntervals, RuleMembers, RuleOwner, RuleMemberships,
	RuleSlots, RuleWatermarks, RuleDirect, RuleHandles, RuleHorizon, RuleOrphans,
}

// Violation is one place where the database breaks a rule; ids and seq are
// zero where they don't apply.
type Violation struct {
	Rule           Rule   `db:"-"`
	ConversationID ID     `db:"conversation_id"`
	UserID         ID     `db:"user_id"`
	Seq            int64  `db:"seq"`
	Detail         string `db:"-"`
}

func (v Violation) String() string {
	var b strings.Builder
	b.WriteString(string(v.Rule))
	if v.ConversationID != 0 {
		b.WriteString(" in " + v.ConversationID.String())
	}
	if v.UserID != 0 {
		b.WriteString(" of " + v.UserID.String())
	}
	if v.Seq != 0 {
		fmt.Fprintf(&b, " at %d", v.Seq)
	}
	return b.String() + ": " + v.Detail
}

// maxViolations is how many violations of one rule in one place are told; a
// database that breaks a rule everywhere need not say so a million times.
const maxViolations = 20

// Check looks for broken invariants in the whole database, in small read
// transactions, so that it may run beside a server that writes: each
// conversation is judged as it was in one snapshot. It reads everything once
// and takes the time for that.
func (s *Store) Check(ctx context.Context) ([]Violation, error) {
	violations, err := s.checkTables(ctx)
	if err != nil {
		return nil, err
	}
	for after := ID(0); ; {
		var ids []ID
		err := s.backend.Read(ctx, func(tx *Tx) error {
			ids = nil
			return tx.Select(&ids, `SELECT conversation_id FROM conversations WHERE conversation_id > ?
				ORDER BY conversation_id LIMIT 1000`, after)
		})
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return violations, nil
		}
		for _, id := range ids {
			found, err := s.checkLog(ctx, id)
			if err != nil {
				return nil, fmt.Errorf("checking conversation %s: %w", id, err)
			}
			violations = append(violations, found...)
			after = id
		}
	}
}
