// Package planted holds the faults that are planted in Holdline to see whether
// `holdline torture` finds them: a checker is worth what it catches.
//
// They exist only in a program that is built with the tag planted, and only one
// at a time, the one that the variable Env names:
//
//	go build -tags planted -o faulty ./cmd/holdline
//	HOLDLINE_TEST_PLANTED=off-by-one-resume ./faulty torture
//
// In every other build On is always false, and the compiler leaves out what
// stands behind it. docs/torture.md tells which promise each of them breaks.
package planted

import "time"

// Env is the variable that names the fault; empty or not there: none.
const Env = "HOLDLINE_TEST_PLANTED"

// Fault is one mistake that somebody could make.
type Fault string

// The faults. Each is planted where the mistake would be made.
const (
	// AckBeforeCommit answers sends while their transaction is still being
	// committed (SQLite).
	AckBeforeCommit Fault = "ack-before-commit"
	// CommitNotDurable does not wait until a commit is on the disk (PostgreSQL).
	CommitNotDurable Fault = "commit-not-durable"
	// HintTrusted takes what this node was told last for the end of the log,
	// without asking the log.
	HintTrusted Fault = "hint-trusted"
	// OffByOneResume begins one event too late behind a cursor.
	OffByOneResume Fault = "off-by-one-resume"
	// BatchLosesOne answers the last send of a batch without storing it (SQLite).
	BatchLosesOne Fault = "batch-loses-one"
	// BatchReordered stores a conversation's sends of one batch in another order
	// than they are answered in (PostgreSQL).
	BatchReordered Fault = "batch-reordered"
	// SeqReused tells readers of a batch before its commit: what is rolled back
	// leaves its seqs to others (SQLite).
	SeqReused Fault = "seq-reused"
	// StaleMembership looks at who may send before the send has its turn, and not
	// again.
	StaleMembership Fault = "stale-membership"
	// FalseReset calls a cursor ahead of the log that is only ahead of this node.
	FalseReset Fault = "false-410"
	// CursorSkipsConversation takes a conversation for given that an inbox's
	// cursor is in the middle of.
	CursorSkipsConversation Fault = "cursor-skips-conversation"
	// HorizonClosedEarly closes a horizon without waiting for those who write
	// under it (PostgreSQL).
	HorizonClosedEarly Fault = "horizon-closed-early"
	// DeliveryAfterRemoval gives a former member the rest of a page.
	DeliveryAfterRemoval Fault = "delivery-after-removal"
	// ReceiptBeforeFact takes for delivered what was written to a stream.
	ReceiptBeforeFact Fault = "receipt-before-fact"

	// ClientIDForgotten does not find what a client_id stored before (SQLite).
	ClientIDForgotten Fault = "client-id-forgotten"
	// ClockTrusted numbers times by the clock alone, wherever it went (SQLite).
	ClockTrusted Fault = "clock-trusted"
	// StreamReordered writes what comes together to a stream in another order.
	StreamReordered Fault = "stream-reordered"
	// UnreadCountsOwn counts a user's own messages as unread.
	UnreadCountsOwn Fault = "unread-counts-own"
	// ReceiptsGoBack lets what was delivered be what came last, not the highest.
	ReceiptsGoBack Fault = "receipts-go-back"
)

// All are the faults there are.
var All = []Fault{
	AckBeforeCommit, CommitNotDurable, HintTrusted, OffByOneResume, BatchLosesOne, BatchReordered, SeqReused, StaleMembership,
	FalseReset, CursorSkipsConversation, HorizonClosedEarly, DeliveryAfterRemoval, ReceiptBeforeFact,
	ClientIDForgotten, ClockTrusted, StreamReordered, UnreadCountsOwn, ReceiptsGoBack,
}

// Linger makes a fault's moment long enough for something to fall into it, as a
// slow disk or a busy machine would.
func Linger() { time.Sleep(lingering) } //nolint:forbidigo // nothing waits for it that could tell

const lingering = 50 * time.Millisecond
