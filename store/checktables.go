package store

import (
	"context"
	"fmt"
)

// tableRules are the invariants between tables that one statement can judge: a
// query returns conversation_id, user_id and seq of each violation.
var tableRules = []struct {
	rule   Rule
	detail string
	query  string
}{
	{RuleLastSeq, "an event is beyond the conversation's last_seq",
		`SELECT c.conversation_id, 0 AS user_id, (SELECT MAX(e.seq) FROM events e WHERE e.conversation_id = c.conversation_id) AS seq
		FROM conversations c
		WHERE EXISTS (SELECT 1 FROM events e WHERE e.conversation_id = c.conversation_id AND e.seq > c.last_seq)`},
	{RuleMemberships, "the latest stretch of members is not what memberships says",
		`SELECT m.conversation_id, m.user_id, m.from_seq AS seq FROM members m
		LEFT JOIN memberships s ON s.user_id = m.user_id AND s.conversation_id = m.conversation_id
		WHERE NOT EXISTS (SELECT 1 FROM members later WHERE later.conversation_id = m.conversation_id
				AND later.user_id = m.user_id AND later.from_seq > m.from_seq)
			AND (s.user_id IS NULL OR s.from_seq <> m.from_seq OR s.to_seq <> m.to_seq OR s.role <> m.role)`},
	{RuleMemberships, "memberships names a stretch that members does not have",
		`SELECT s.conversation_id, s.user_id, s.from_seq AS seq FROM memberships s
		WHERE NOT EXISTS (SELECT 1 FROM members m WHERE m.conversation_id = s.conversation_id
			AND m.user_id = s.user_id AND m.from_seq = s.from_seq)`},
	{RuleMemberships, "its stamp is not that of the removal, or not from the stretch",
		`SELECT s.conversation_id, s.user_id, s.from_seq AS seq FROM memberships s
		JOIN members m ON m.conversation_id = s.conversation_id AND m.user_id = s.user_id AND m.from_seq = s.from_seq
		JOIN conversations c ON c.conversation_id = s.conversation_id
		JOIN events e ON e.conversation_id = s.conversation_id AND e.seq = CASE WHEN s.to_seq = 0 THEN m.join_seq ELSE s.to_seq END
		WHERE s.stamp < e.stamp OR (s.to_seq <> 0 AND s.stamp <> e.stamp) OR s.stamp > c.last_stamp`},
	{RuleSlots, "two conversations share a slot",
		`SELECT MAX(conversation_id) AS conversation_id, user_id, slot AS seq FROM memberships
		GROUP BY user_id, slot HAVING COUNT(*) > 1`},
	{RuleSlots, "the slot could be given again",
		`SELECT s.conversation_id, s.user_id, s.slot AS seq FROM memberships s JOIN users u ON u.user_id = s.user_id
		WHERE s.slot < 1 OR s.slot >= u.next_slot`},
	{RuleWatermarks, "the watermark is not that of the latest receipt",
		`SELECT w.conversation_id, w.user_id, w.delivered_seq AS seq FROM watermarks w
		WHERE w.delivered_seq <> COALESCE((SELECT MAX(r.seq) FROM receipts r
				WHERE r.conversation_id = w.conversation_id AND r.kind = 'delivered' AND r.user_id = w.user_id), 0)
			OR w.notified_seq <> COALESCE((SELECT MAX(r.seq) FROM receipts r
				WHERE r.conversation_id = w.conversation_id AND r.kind = 'notified' AND r.user_id = w.user_id), 0)
			OR w.read_seq <> COALESCE((SELECT MAX(r.seq) FROM receipts r
				WHERE r.conversation_id = w.conversation_id AND r.kind = 'read' AND r.user_id = w.user_id), 0)`},
	{RuleWatermarks, "its stamp is not that of the latest receipt",
		`SELECT w.conversation_id, w.user_id, w.delivered_seq AS seq FROM watermarks w
		WHERE w.stamp <> COALESCE((SELECT MAX(r.stamp) FROM receipts r
			WHERE r.conversation_id = w.conversation_id AND r.kind IN ('delivered', 'notified', 'read') AND r.user_id = w.user_id), 0)`},
	{RuleWatermarks, "a receipt's stamp is below that of a smaller seq",
		`SELECT conversation_id, user_id, seq FROM (SELECT conversation_id, user_id, seq, stamp,
			LAG(stamp) OVER (PARTITION BY conversation_id, kind, user_id ORDER BY seq) AS before FROM receipts) AS moves
		WHERE stamp < before`},
	{RuleWatermarks, "a receipt has no watermark",
		`SELECT r.conversation_id, r.user_id, r.seq FROM receipts r
		WHERE NOT EXISTS (SELECT 1 FROM watermarks w WHERE w.user_id = r.user_id AND w.conversation_id = r.conversation_id)`},
	{RuleWatermarks, "the watermark is beyond the conversation's end, or read is beyond delivered",
		`SELECT w.conversation_id, w.user_id, w.delivered_seq AS seq
		FROM watermarks w JOIN conversations c ON c.conversation_id = w.conversation_id
		WHERE w.delivered_seq > c.last_seq OR w.notified_seq > c.last_seq OR w.read_seq > w.delivered_seq`},
	{RuleDirect, "the pair's conversation is not theirs",
		`SELECT d.conversation_id, d.low_user AS user_id, 0 AS seq FROM direct_pairs d
		LEFT JOIN conversations c ON c.conversation_id = d.conversation_id
		WHERE c.conversation_id IS NULL OR c.kind <> 'direct' OR d.low_user >= d.high_user
			OR (SELECT COUNT(*) FROM members m WHERE m.conversation_id = d.conversation_id AND m.to_seq = 0
				AND m.user_id IN (d.low_user, d.high_user)) <> 2
			OR (SELECT COUNT(*) FROM members m WHERE m.conversation_id = d.conversation_id) <> 2`},
	{RuleDirect, "a direct conversation belongs to no pair",
		`SELECT c.conversation_id, c.creator_id AS user_id, 0 AS seq FROM conversations c
		WHERE c.kind = 'direct' AND (SELECT COUNT(*) FROM direct_pairs d
			JOIN members m ON m.conversation_id = c.conversation_id AND m.user_id = d.low_user
			WHERE d.conversation_id = c.conversation_id) <> 1`},
	{RuleHandles, "the user's handle is not theirs in handles",
		`SELECT 0 AS conversation_id, u.user_id, 0 AS seq FROM users u
		LEFT JOIN handles h ON h.handle = u.handle WHERE h.user_id IS NULL OR h.user_id <> u.user_id`},
	{RuleHandles, "the handle's user has another",
		`SELECT 0 AS conversation_id, h.user_id, 0 AS seq FROM handles h
		LEFT JOIN users u ON u.user_id = h.user_id WHERE u.user_id IS NULL OR u.handle <> h.handle`},
	{RuleHorizon, "a stamp is above the horizon, or the horizon is closed",
		`SELECT 0 AS conversation_id, 0 AS user_id, h AS seq FROM horizon
		WHERE closed >= h OR h < (SELECT COALESCE(MAX(stamp), 0) FROM events)
			OR h < (SELECT COALESCE(MAX(stamp), 0) FROM receipts) OR h < (SELECT COALESCE(MAX(stamp), 0) FROM revocations)`},
	// The recursion steps from one conversation of the index to the next, past
	// all its events.
	{RuleOrphans, "an event belongs to no conversation",
		`WITH RECURSIVE logs (id) AS (
			SELECT MIN(conversation_id) FROM events
			UNION ALL
			SELECT (SELECT MIN(e.conversation_id) FROM events e WHERE e.conversation_id > logs.id) FROM logs WHERE logs.id IS NOT NULL)
		SELECT id AS conversation_id, 0 AS user_id, 0 AS seq FROM logs
		WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.conversation_id = id)`},
	{RuleOrphans, "a membership belongs to no conversation or no user",
		`SELECT m.conversation_id, m.user_id, m.from_seq AS seq FROM members m
		LEFT JOIN conversations c ON c.conversation_id = m.conversation_id
		LEFT JOIN users u ON u.user_id = m.user_id
		WHERE c.conversation_id IS NULL OR u.user_id IS NULL`},
	{RuleOrphans, "a watermark belongs to somebody who never was a member",
		`SELECT w.conversation_id, w.user_id, 0 AS seq FROM watermarks w
		WHERE NOT EXISTS (SELECT 1 FROM memberships s WHERE s.user_id = w.user_id AND s.conversation_id = w.conversation_id)`},
	{RuleOrphans, "a session belongs to no user",
		`SELECT 0 AS conversation_id, s.user_id, 0 AS seq FROM sessions s
		WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.user_id = s.user_id)`},
	{RuleOrphans, "the repeatable creation of a group names no conversation",
		`SELECT r.conversation_id, r.creator_id AS user_id, 0 AS seq FROM creations r
		WHERE NOT EXISTS (SELECT 1 FROM conversations c WHERE c.conversation_id = r.conversation_id)`},
}

func (s *Store) checkTables(ctx context.Context) ([]Violation, error) {
	var violations []Violation
	for _, r := range tableRules {
		var found []Violation
		err := s.backend.Read(ctx, func(tx *Tx) error {
			found = nil
			return tx.Select(&found, r.query+fmt.Sprintf(` LIMIT %d`, maxViolations))
		})
		if err != nil {
			return nil, fmt.Errorf("checking %s (%s): %w", r.rule, r.detail, err)
		}
		for _, v := range found {
			v.Rule, v.Detail = r.rule, r.detail
			violations = append(violations, v)
		}
	}
	return violations, nil
}
