// Package storetest is the contract of store.Store: one suite that runs on
// every backend. A backend is right when it passes.
//
// After every subtest the invariants of the whole database are checked
// (store.Check), and that the feed got every event once and in order.
package storetest

import (
	"testing"

	"holdline/store"
)

// Run runs the suite. open returns a fresh backend of the test's own, migrated
// and empty; the suite closes it.
func Run(t *testing.T, d Dialect, open func(t *testing.T) store.Backend) {
	s := suite{dialect: d, open: open}
	t.Run("accounts", s.accounts)
	t.Run("sessions", s.sessions)
	t.Run("conversations", s.conversations)
	t.Run("create", s.create)
	t.Run("direct", s.direct)
	t.Run("members", s.members)
	t.Run("ownership", s.ownership)
	t.Run("permission", s.permission)
	t.Run("append", s.append)
	t.Run("log", s.log)
	t.Run("state", s.state)
	t.Run("receipts", s.receipts)
	t.Run("acks", s.acks)
	t.Run("changes", s.changes)
	t.Run("inbox", s.inbox)
	t.Run("concurrency", s.concurrency)
	t.Run("check", s.check)
	t.Run("plans", s.plans)
}

type suite struct {
	dialect Dialect
	open    func(t *testing.T) store.Backend
}

// RunLong runs what needs large logs: pages of one with a million events, the
// inbox of somebody in a thousand conversations, and long random histories. It
// is apart from Run because the race detector, which has nothing to find in it,
// makes an embedded database take minutes for so many.
func RunLong(t *testing.T, d Dialect, open func(t *testing.T) store.Backend) {
	s := suite{dialect: d, open: open}
	beside := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
	beside("pages", func(t *testing.T) { s.pages(t, millionEvents) })
	beside("inbox of many conversations", s.inboxOfMany)
	beside("inbox plans", s.inboxPlans)
	beside("histories", func(t *testing.T) {
		for seed := range uint64(3) {
			s.inboxHistory(t, 1+seed, 160)
		}
	})
}
