package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"holdline/store"
)

// check breaks each invariant by raw SQL and makes sure that the checker names
// it: a checker that finds nothing proves nothing.
func (s *suite) check(t *testing.T) {
	w := s.world(t)
	w.populate()
	for _, v := range w.violations() {
		t.Fatalf("before anything is broken: %v", v)
	}
	rules := make(map[store.Rule]bool)
	for _, plant := range []struct {
		rule store.Rule
		name string
		sql  []string
	}{
		{store.RuleGapless, "an event is missing", []string{`DELETE FROM events WHERE seq = 3`}},
		{store.RuleGapless, "the log begins late", []string{`UPDATE conversations SET first_seq = 2`}},
		{store.RuleUnique, "a seq twice", append(slices.Clone(s.dialect.DropUnique),
			`INSERT INTO events (conversation_id, seq, type, sender_id, client_id, text, target_seq, subject_id, action, accepted_at, stamp, extra)
			SELECT conversation_id, seq, type, sender_id, 'again', text, 0, 0, '', accepted_at, stamp, '' FROM events WHERE seq = 3`)},
		{store.RuleClientID, "a client_id twice", append(slices.Clone(s.dialect.DropUnique),
			`UPDATE events SET client_id = 'same', sender_id = (SELECT creator_id FROM conversations WHERE kind = 'group')
			WHERE client_id IS NOT NULL AND conversation_id = (SELECT conversation_id FROM conversations WHERE kind = 'group')`)},
		{store.RuleCreated, "seq 1 is no created event", []string{`UPDATE events SET type = 'title', extra = '"title":"a group"' WHERE seq = 1`}},
		{store.RuleCreated, "a second created event", []string{`UPDATE events SET type = 'created' WHERE seq = 3`}},
		{store.RuleCreated, "another creator", []string{`UPDATE conversations SET creator_id = creator_id + 1`}},
		{store.RuleCreated, "extra is not JSON", []string{`UPDATE events SET extra = '"members":[' WHERE seq = 1`}},
		{store.RuleLastSeq, "last_seq is behind", []string{`UPDATE conversations SET last_seq = last_seq - 1`}},
		{store.RuleLastSeq, "last_seq is ahead", []string{`UPDATE conversations SET last_seq = last_seq + 1`}},
		{store.RuleTimes, "accepted_at falls", []string{`UPDATE events SET accepted_at = accepted_at - 100000 WHERE seq = 3`}},
		{store.RuleStamps, "a stamp falls", []string{`UPDATE events SET stamp = 0 WHERE seq = 3`}},
		{store.RuleLastTime, "last_accepted_at is wrong", []string{`UPDATE conversations SET last_accepted_at = last_accepted_at + 1`}},
		{store.RuleLastStamp, "last_stamp is wrong", []string{`UPDATE conversations SET last_stamp = last_stamp + 1`}},
		{store.RuleSender, "a stranger sent", []string{`UPDATE events SET sender_id = 77 WHERE seq = 3`}},
		{store.RuleSender, "a removed member sent", []string{
			`UPDATE events SET sender_id = (SELECT user_id FROM users WHERE handle = 'cleo') WHERE type = 'message' AND seq = 5`}},
		{store.RuleReply, "a reply to the future", []string{`UPDATE events SET target_seq = 9 WHERE seq = 3`}},
		{store.RuleTitle, "another title", []string{`UPDATE conversations SET title = 'x' WHERE kind = 'group'`}},
		{store.RuleIntervals, "a stretch ends before it begins", []string{`UPDATE members SET to_seq = 1, from_seq = 2 WHERE role = 'owner'`}},
		{store.RuleIntervals, "stretches overlap", []string{`UPDATE members SET to_seq = 99 WHERE to_seq <> 0`}},
		{store.RuleMembers, "a stretch without its event", []string{
			`INSERT INTO members (conversation_id, user_id, from_seq, to_seq, join_seq, role)
			SELECT conversation_id, 77, 1, 0, 1, 'member' FROM conversations`}},
		{store.RuleMembers, "an event without its stretch", []string{`DELETE FROM members WHERE to_seq <> 0`}},
		{store.RuleMembers, "a stretch ends elsewhere", []string{`UPDATE members SET to_seq = to_seq - 1 WHERE to_seq <> 0`}},
		{store.RuleMembers, "a stretch begins elsewhere", []string{`UPDATE members SET join_seq = join_seq + 1`}},
		{store.RuleMembers, "removed twice", []string{`UPDATE events SET action = 'removed' WHERE action = 'added'`}},
		{store.RuleMembers, "an unknown action", []string{`UPDATE events SET action = 'banished' WHERE action = 'removed'`}},
		{store.RuleOwner, "no owner", []string{`UPDATE members SET role = 'member'`, `UPDATE memberships SET role = 'member'`}},
		{store.RuleOwner, "two owners", []string{`UPDATE members SET role = 'owner'`, `UPDATE memberships SET role = 'owner'`}},
		{store.RuleMemberships, "another role", []string{`UPDATE memberships SET role = 'admin' WHERE role = 'owner'`}},
		{store.RuleMemberships, "removed on one side only", []string{`UPDATE memberships SET to_seq = 3 WHERE to_seq = 0`}},
		{store.RuleMemberships, "missing", []string{`DELETE FROM memberships WHERE role = 'owner'`}},
		{store.RuleMemberships, "one too many", []string{`DELETE FROM members WHERE role = 'owner'`}},
		{store.RuleMemberships, "stamped before they came", []string{`UPDATE memberships SET stamp = 0 WHERE to_seq = 0`}},
		{store.RuleMemberships, "stamped after the end of the log", []string{`UPDATE memberships SET stamp = 1000000000 WHERE to_seq = 0`}},
		{store.RuleMemberships, "stamped after their removal", []string{
			// All of it may have happened under one stamp.
			`UPDATE events SET stamp = stamp + 1 WHERE seq > 4`,
			`UPDATE conversations SET last_stamp = last_stamp + 1 WHERE last_seq > 4`,
			`UPDATE memberships SET to_seq = 4, from_seq = 1, 
				stamp = (SELECT c.last_stamp FROM conversations c WHERE c.conversation_id = memberships.conversation_id)
				WHERE user_id = (SELECT user_id FROM users WHERE handle = 'cleo')`,
			`DELETE FROM members WHERE from_seq > 4 AND user_id = (SELECT user_id FROM users WHERE handle = 'cleo')`}},
		{store.RuleSlots, "a slot twice", []string{`DROP INDEX memberships_slot`, `UPDATE memberships SET slot = 1`}},
		{store.RuleSlots, "a slot above the next", []string{`UPDATE users SET next_slot = 1`}},
		{store.RuleWatermarks, "ahead of the receipts", []string{`UPDATE watermarks SET delivered_seq = delivered_seq + 1`}},
		{store.RuleWatermarks, "notified without a receipt", []string{`UPDATE watermarks SET notified_seq = 1`}},
		{store.RuleWatermarks, "read behind the receipts", []string{`UPDATE watermarks SET read_seq = 1`}},
		{store.RuleWatermarks, "a receipt without one", []string{`DELETE FROM watermarks`}},
		{store.RuleWatermarks, "beyond the end", []string{`UPDATE watermarks SET delivered_seq = 99`, `UPDATE receipts SET seq = 99 WHERE kind = 'delivered'`}},
		{store.RuleWatermarks, "read beyond delivered", []string{`UPDATE watermarks SET delivered_seq = 1`, `UPDATE receipts SET seq = 1 WHERE kind = 'delivered'`}},
		{store.RuleWatermarks, "another stamp", []string{`UPDATE watermarks SET stamp = stamp - 1`}},
		{store.RuleWatermarks, "a receipt's stamp falls", []string{
			`INSERT INTO receipts (conversation_id, kind, user_id, seq, at, stamp)
			SELECT conversation_id, kind, user_id, seq - 1, at, stamp + 1 FROM receipts WHERE kind = 'delivered'`,
			`UPDATE watermarks SET stamp = stamp + 1`}},
		{store.RuleDirect, "two for one pair", []string{
			`UPDATE conversations SET kind = 'direct' WHERE kind = 'group'`}},
		{store.RuleDirect, "of nobody", []string{`DELETE FROM direct_pairs`}},
		{store.RuleDirect, "of others", []string{`UPDATE direct_pairs SET high_user = 9223372036854775807`}},
		{store.RuleDirect, "a third member", []string{
			`INSERT INTO members (conversation_id, user_id, from_seq, to_seq, join_seq, role)
			SELECT conversation_id, 77, 1, 0, 1, 'member' FROM direct_pairs`}},
		{store.RuleHandles, "a user without one", []string{`DELETE FROM handles`}},
		{store.RuleHandles, "of another user", []string{`UPDATE handles SET user_id = user_id + 1`}},
		{store.RuleHandles, "of nobody", []string{`INSERT INTO handles (handle, user_id) VALUES ('nobody', 77)`}},
		{store.RuleHorizon, "a stamp above it", []string{`UPDATE events SET stamp = 1000000000`, `UPDATE conversations SET last_stamp = 1000000000`}},
		{store.RuleHorizon, "closed", []string{`UPDATE horizon SET closed = h`}},
		{store.RuleOrphans, "events", []string{`DELETE FROM conversations WHERE kind = 'group'`}},
		{store.RuleOrphans, "a member", []string{`DELETE FROM users WHERE handle = 'bob'`}},
		{store.RuleOrphans, "a watermark", []string{`DELETE FROM memberships`}},
		{store.RuleOrphans, "a session", []string{`UPDATE sessions SET user_id = 77`}},
		{store.RuleOrphans, "a creation", []string{`INSERT INTO creations (creator_id, client_id, request_hash, conversation_id) VALUES (1, 'x', '', 77)`}},
	} {
		rules[plant.rule] = true
		t.Run(string(plant.rule)+": "+plant.name, func(t *testing.T) {
			found := w.violationsAfter(plant.sql)
			if !slices.ContainsFunc(found, func(v store.Violation) bool { return v.Rule == plant.rule }) {
				t.Errorf("found %v", found)
			}
			for _, v := range found {
				if v.Detail == "" || v.String() == "" {
					t.Errorf("violation without a word: %+v", v)
				}
			}
		})
	}
	for _, rule := range store.Rules {
		if !rules[rule] {
			t.Errorf("no violation of %q is planted", rule)
		}
	}
}

// violationsAfter returns what the checker finds after the statements, in a
// transaction that is rolled back.
func (w *world) violationsAfter(statements []string) (found []store.Violation) {
	w.Helper()
	err := w.backend.Backend.Write(context.Background(), func(tx *store.Tx) (err error) {
		for _, query := range statements {
			if _, err := tx.Exec(query); err != nil {
				return err
			}
		}
		if found, err = w.store.Check(context.WithValue(context.Background(), insideKey{}, tx)); err != nil {
			return err
		}
		return errRolledBack
	}, func() {})
	if !errors.Is(err, errRolledBack) {
		w.Fatal(err)
	}
	return found
}

// populate makes a little of everything: a group with messages, a removal and a
// return, a direct conversation, receipts.
func (w *world) populate() {
	w.Helper()
	ann, bob, cleo := w.user("ann"), w.user("bob"), w.user("cleo")
	group := w.group(ann, "", "bob", "cleo")
	w.say(ann, group, "one")          // 2
	w.say(bob, group, "two")          // 3
	w.remove(ann, group, cleo.UserID) // 4
	w.say(ann, group, "without cleo") // 5
	w.add(ann, group, "bob", "cleo")  // 6
	w.remove(ann, group, cleo.UserID) // 7
	w.say(bob, group, "three")        // 8
	w.add(ann, group, "cleo")         // 9
	direct, _, err := w.store.CreateConversation(w.Context(), store.NewConversation{Actor: ann, Kind: store.KindDirect, Members: []string{"bob"}})
	w.must(err)
	w.say(bob, direct.ID, "hello") // 2
	w.say(bob, direct.ID, "again") // 3
	w.must(w.store.Ack(w.Context(), bob, store.Acks{Read: map[store.ID]int64{group: 3}, Delivered: map[store.ID]int64{group: 5}}))
}
